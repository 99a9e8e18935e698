"""A run whose newest checkpoint is damaged goes on from the one before and ends the same."""

import shutil

import pytest

from msseg.runner.checkpoint import load_checkpoint
from tests.small_run import SmallRun

# Something of every kind that is saved.
MORE = """
model['decode_head']['dropout_ratio'] = 0.1
custom_hooks = [dict(type='EMAHook', momentum=0.1)]
optimizer_config = dict(cumulative_iters=3)
"""


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A run that has saved after iterations 2, 4 and 6."""
    run = SmallRun(tmp_path_factory.mktemp('damaged'), MORE)
    assert run.train() == 0, run.output
    yield run
    run.end()


@pytest.fixture(scope='module')
def straight(run):
    return tensors_of(run.work_dir / 'iter_6.ckpt')


def tensors_of(path):
    checkpoint = load_checkpoint(path)
    tensors = {**checkpoint.weights, **checkpoint.state}
    return {name: value.tobytes() for name, value in tensors.items()}


def flip(content, place):
    return content[:place] + bytes([content[place] ^ 0x04]) + content[place + 1 :]


def flip_behind(name, distance):
    """Flip a bit so far behind the place where a name stands."""
    return lambda content: flip(content, content.index(name) + len(name) + distance)


@pytest.mark.parametrize(
    'damage',
    [
        lambda content: b'',
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2] + bytes(len(content) - len(content) // 2),
        lambda content: flip(content, 0),
        lambda content: flip(content, len(content) - 3),
        flip_behind('"iter": '.encode('utf-32-le'), 0),  # 6 becomes 2
        flip_behind(b'backbone.conv.weight', 40),
        flip_behind(b'optimizer.accum.backbone.conv.weight', 40),
    ],
    ids=['empty', 'half', 'one byte short', 'zeros at its end', 'first byte', 'checksum',
         'description', 'weights', 'optimizer'],
)  # fmt: skip
def test_the_one_before_is_taken_and_nothing_is_lost(run, straight, damage, tmp_path):
    work_dir = tmp_path / 'run'
    shutil.copytree(run.work_dir, work_dir)
    newest = work_dir / 'iter_6.ckpt'
    content = newest.read_bytes()
    newest.write_bytes(damage(content))
    assert newest.read_bytes() != content
    before = (work_dir / 'iter_4.ckpt').read_bytes()
    assert run.train('--work-dir', work_dir, '--auto-resume') == 0, run.output
    assert "iter_6.ckpt' cannot be read: it is damaged" in run.output
    assert f'resumed {work_dir}/iter_4.ckpt at iteration 4' in run.output
    assert 'Traceback' not in run.output
    assert (work_dir / 'iter_4.ckpt').read_bytes() == before
    assert tensors_of(newest) == straight
