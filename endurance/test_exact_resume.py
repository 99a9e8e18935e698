"""A run that was killed and resumed ends with the bits of one that ran straight through."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from msseg.runner import load_checkpoint
from tests.tiny import write_config, write_discs

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 900
# Everything that has state: dropout, averaged weights, gradients in the middle of a group when the
# checkpoint is written (20 is no multiple of 3), a loss scale that grows.
MORE = """
for _head in model['decode_head']:
    _head['dropout_ratio'] = 0.1
runner = dict(type='IterBasedRunner', max_iters=40)
optimizer_config = dict(cumulative_iters=3, grad_clip=dict(max_norm=1.0))
fp16 = dict(loss_scale=dict(init_scale=1024.0, growth_interval=4))
custom_hooks = [dict(type='EMAHook', momentum=0.01)]
checkpoint_config = dict(interval=20, by_epoch=False)
evaluation = dict(interval=10, by_epoch=False, metric='mIoU', save_best='mIoU')
"""


def start(config, work_dir, workers, *options):
    command = [
        sys.executable, str(ROOT / 'tools' / 'train.py'), str(config), '--work-dir', str(work_dir),
        '--seed', '0', '--device', 'CPU', *options,
        '--cfg-options', f'data.workers_per_gpu={workers}',
    ]  # fmt: skip
    # One compilation serves all runs: six others would each take a minute.
    cache = {
        'MS_COMPILER_CACHE_ENABLE': '1',
        'MS_COMPILER_CACHE_PATH': str(config.parent / 'cache'),
    }
    with work_dir.with_suffix('.out').open('a') as log:
        return subprocess.Popen(
            command, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, **cache}
        )


def finish(process, work_dir):
    assert process.wait(PATIENCE_S) == 0, work_dir.with_suffix('.out').read_text()[-3000:]
    return work_dir / 'iter_40.ckpt'


def kill_after(process, path):
    """Kill a process without warning when a file has appeared and it has gone on a little."""
    deadline = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def state_of(path):
    """All that a checkpoint holds: tensors by name, and what counts of its description."""
    checkpoint = load_checkpoint(path)
    tensors = {**checkpoint.weights, **checkpoint.state}
    hashes = {name: hashlib.sha256(value.tobytes()).hexdigest() for name, value in tensors.items()}
    return hashes, {key: checkpoint.meta[key] for key in ('iter', 'epoch', 'best_scores')}


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp('resume')
    return write_config(folder, write_discs(folder / 'discs', count=10), MORE)


@pytest.fixture(scope='module')
def straight(config):
    work_dir = config.parent / 'straight'
    return state_of(finish(start(config, work_dir, 0), work_dir))


def test_everything_that_has_state_is_saved(straight):
    names = set(straight[0])
    assert {'train_step.loss_scale', 'train_step.accumulated_count'} < names
    for start_of_name in ('optimizer.', 'train_step.accumulated.', 'ema.', 'backbone.'):
        assert any(name.startswith(start_of_name) for name in names), start_of_name
    assert 'decode_head.1.dropout.state' in names


@pytest.mark.parametrize('workers', [0, 1, 2])
def test_kill_and_resume_equals_running_through(config, straight, workers):
    work_dir = config.parent / f'killed_{workers}'
    kill_after(start(config, work_dir, workers), work_dir / 'iter_20.ckpt')
    assert not (work_dir / 'iter_40.ckpt').exists()
    resumed = state_of(finish(start(config, work_dir, workers, '--auto-resume'), work_dir))
    assert 'resumed' in work_dir.with_suffix('.out').read_text()
    different = [name for name in straight[0] if resumed[0].get(name) != straight[0][name]]
    assert different == []
    assert set(resumed[0]) == set(straight[0])
    assert resumed[1] == straight[1]
