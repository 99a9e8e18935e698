"""Two jobs that begin at the same moment on one machine do not get into each other's way."""

import pytest

from msseg.runner.checkpoint import load_checkpoint
from tests.many_processes import ManyRun

MORE = "model['decode_head'].update(num_convs=1, norm_cfg=dict(type='SyncBN'))\n"


@pytest.fixture
def jobs(tmp_path):
    """Two folders to start in, with the same config."""
    for name in ('first', 'second'):
        (tmp_path / name).mkdir()
    first, second = (ManyRun(tmp_path / name, MORE) for name in ('first', 'second'))
    second.config = first.config
    (second.folder / 'small_parts.py').unlink()  # the config's module is the one beside it
    yield first, second
    for run in (first, second):
        run.end()


def tensors_of(path):
    checkpoint = load_checkpoint(path)
    tensors = {**checkpoint.weights, **checkpoint.state}
    return {name: value.tobytes() for name, value in tensors.items()}


def test_the_same_job_twice_at_once(jobs, tmp_path):
    """They find their own ranks, and share the folder of compiled graphs, which is empty first."""
    cache = {
        'MS_COMPILER_CACHE_ENABLE': '1',
        'MS_COMPILER_CACHE_PATH': str(tmp_path / 'cache'),
    }
    processes = [run.start(2, '--work-dir', run.work_dir, **cache) for run in jobs]
    for run, process in zip(jobs, processes, strict=True):
        assert process.wait(300) == 0, run.output
        assert 'Traceback' not in run.output
        assert run.checkpoints() == ['iter_2.ckpt', 'iter_4.ckpt', 'iter_6.ckpt']
        assert len(list((run.work_dir / 'rank_logs').iterdir())) == 1
        assert f'compiled graphs are kept in {tmp_path}/cache/msseg-' in run.output
    assert len(list((tmp_path / 'cache').iterdir())) == 1
    states = [tensors_of(run.work_dir / 'iter_6.ckpt') for run in jobs]
    assert states[0] == states[1]
    # and what they left there serves a third, which learns the same
    third = jobs[0].start(2, '--work-dir', tmp_path / 'third', **cache)
    assert third.wait(300) == 0, jobs[0].output
    assert len(list((tmp_path / 'cache').iterdir())) == 1
    assert tensors_of(tmp_path / 'third' / 'iter_6.ckpt') == states[0]
