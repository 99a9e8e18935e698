"""Checkpoints that cannot be written: what is said, what is kept, how the run ends."""

import contextlib
import json
import os
import resource
import shutil

import pytest

from msseg.runner import Hook
from msseg.runner.checkpoint import load_checkpoint
from msseg.runner.hooks import CheckpointHook, EvalHook, TensorboardLoggerHook, TextLoggerHook


@contextlib.contextmanager
def small_files():
    """A file cannot grow beyond four hundred bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class FailingDisk(Hook):
    """The disk fails from one iteration on until another."""

    def __init__(self, fails, first, last):
        self.fails, self.first, self.last = fails, first, last
        self.stack = contextlib.ExitStack()

    def before_train_iter(self, runner):
        if runner.iter + 1 == self.first:
            self.stack.enter_context(self.fails())
        if runner.iter + 1 == self.last + 1:
            self.stack.close()

    def after_run(self, runner):
        self.stack.close()


@pytest.fixture
def lost_mount(tmp_path):
    @contextlib.contextmanager
    def lose():
        shutil.move(tmp_path, f'{tmp_path}-away')
        try:
            yield
        finally:
            shutil.move(f'{tmp_path}-away', tmp_path)

    return lose


@pytest.fixture(params=['full', 'lost'])
def failure(request, lost_mount):
    return (
        (small_files, 'File too large')
        if request.param == 'full'
        else (lost_mount, 'No such file or directory')
    )


def names(folder, pattern='*.ckpt'):
    return sorted(path.name for path in folder.glob(pattern))


def test_training_goes_on_and_nothing_is_lost(make_runner, tmp_path, caplog, failure):
    fails, reason = failure
    runner = make_runner(max_iters=8)
    runner.register_hook(FailingDisk(fails, 3, 6), 'VERY_HIGH')
    runner.register_hook(TextLoggerHook(1, by_epoch=False))
    runner.register_hook(CheckpointHook(2, by_epoch=False, max_keep_ckpts=1))
    runner.run()
    assert runner.iter == 8
    errors = [r.getMessage() for r in caplog.records if 'not saved' in r.getMessage()]
    for iteration, error in zip((4, 6), errors, strict=True):
        assert f'iter_{iteration}.ckpt' in error and reason in error
        assert 'needs 0.0 MiB' in error and error.endswith('older checkpoints are kept')
    assert names(tmp_path) == ['iter_8.ckpt']
    assert load_checkpoint(tmp_path / 'iter_8.ckpt').meta['iter'] == 8
    logged = [json.loads(line) for line in next(tmp_path.glob('*.log.json')).open()][1:]
    assert {1, 2, 7, 8} <= {line['iter'] for line in logged}


def test_older_one_is_kept_until_a_newer_is_on_disk(make_runner, tmp_path, failure):
    fails, _ = failure
    runner = make_runner(max_iters=5)
    runner.register_hook(FailingDisk(fails, 3, 4), 'VERY_HIGH')
    runner.register_hook(CheckpointHook(2, by_epoch=False, max_keep_ckpts=1, save_last=False))
    runner.run()
    assert names(tmp_path) == ['iter_2.ckpt']
    assert (tmp_path / 'last_checkpoint').read_text() == 'iter_2.ckpt\n'


@pytest.mark.parametrize('arguments', [{'interval': 2}, {'interval': 4, 'save_last': False}])
def test_last_one_that_fails_ends_the_run_with_an_error(make_runner, tmp_path, failure, arguments):
    fails, reason = failure
    runner = make_runner(max_iters=4)
    runner.register_hook(CheckpointHook(by_epoch=False, **arguments))
    runner.register_hook(FailingDisk(fails, 3, 9), 'VERY_HIGH')
    with pytest.raises(OSError, match=rf'the last checkpoint was not saved: .*{reason}.*iter_4'):
        runner.run()
    assert names(tmp_path) == (['iter_2.ckpt'] if arguments['interval'] == 2 else [])


def test_stopping_early_saves_in_the_midst_of_an_epoch(make_runner, tmp_path):
    class Stop(Hook):
        def after_train_iter(self, runner):
            if runner.iter in (3, 6):
                runner.stop('enough')

    runner = make_runner(max_epochs=3)
    runner.register_hook(Stop())
    runner.register_hook(CheckpointHook(interval=1, max_keep_ckpts=1))
    runner.run()
    assert names(tmp_path) == ['iter_3.ckpt']
    again = make_runner(max_epochs=3)
    again.register_hook(Stop())
    again.register_hook(CheckpointHook(interval=1, max_keep_ckpts=1))
    again.resume(tmp_path / 'iter_3.ckpt')
    again.run()
    assert names(tmp_path) == ['epoch_1.ckpt', 'iter_6.ckpt']
    assert (tmp_path / 'last_checkpoint').read_text() == 'iter_6.ckpt\n'


def test_checkpoints_of_an_earlier_run_do_not_crowd_out_the_new_ones(make_runner, tmp_path):
    (tmp_path / 'iter_800.ckpt').touch()
    runner = make_runner(max_iters=6)
    runner.register_hook(CheckpointHook(interval=2, by_epoch=False, max_keep_ckpts=2))
    runner.run()
    assert names(tmp_path) == ['iter_4.ckpt', 'iter_6.ckpt', 'iter_800.ckpt']


def test_newest_one_that_cannot_be_named_is_said(make_runner, tmp_path, caplog):
    (tmp_path / 'last_checkpoint').mkdir()
    runner = make_runner(max_iters=2)
    runner.register_hook(CheckpointHook(interval=1, by_epoch=False))
    runner.run()
    assert names(tmp_path) == ['iter_1.ckpt', 'iter_2.ckpt']
    assert 'last_checkpoint' in caplog.text and 'Is a directory' in caplog.text


def test_best_one_that_fails_leaves_the_best_before_it(make_runner, tmp_path, caplog):
    scores = iter([0.5, 0.8, 0.6, 0.4])
    runner = make_runner(max_iters=4)
    runner.register_hook(FailingDisk(small_files, 2, 2), 'VERY_HIGH')
    runner.register_hook(
        EvalHook(lambda: {'mIoU': next(scores)}, ['mIoU'], 1, by_epoch=False, save_best='mIoU')
    )
    runner.run()
    assert 'best_mIoU_iter_2.ckpt' in caplog.text and 'not saved' in caplog.text
    assert names(tmp_path) == ['best_mIoU_iter_3.ckpt']
    assert runner.best_scores == {'mIoU': (0.6, 'best_mIoU_iter_3.ckpt')}


def test_curves_of_tensorboard_are_never_torn(make_runner, tmp_path, caplog):
    from tests.test_runner.test_runner import is_loss, read_events

    runner = make_runner(max_iters=40)
    runner.register_hook(FailingDisk(small_files, 3, 20), 'VERY_HIGH')
    runner.register_hook(TensorboardLoggerHook(interval=1, by_epoch=False))
    runner.run()
    (file,) = (tmp_path / 'tf_logs').iterdir()
    _, *points = read_events(file.read_bytes())
    steps = [point.step for point in points if is_loss(point)]
    assert {1, 2, 21, 40} <= set(steps) and len(steps) < 40
    assert caplog.text.count('cannot be written (File too large)') == 1


def test_what_killed_processes_left_is_removed_at_the_start(make_runner, tmp_path, caplog):
    caplog.set_level('INFO', logger='msseg')
    left = tmp_path / '.iter_2.some-host-12345.tmp.ckpt'
    left.write_bytes(b'half')
    os.utime(left, (0, 0))
    runner = make_runner(max_iters=1)
    runner.register_hook(CheckpointHook(interval=1, by_epoch=False))
    runner.run()
    assert not left.exists()
    assert f'removed {left}' in caplog.text
