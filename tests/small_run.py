"""Training that starts within seconds: a network of one convolution, in a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.tiny import write_discs

ROOT = Path(__file__).parents[1]

# What to append to the config: a pause after each iteration; a run that does not end by itself; a
# transform that does something to the process when it loads image 3.
PAUSE = "custom_hooks = [dict(type='Pause', seconds={})]\n"
LONG = 'runner = dict(type="IterBasedRunner", max_iters=400)\ncheckpoint_config["interval"] = 300\n'
WORKERS = "data['workers_per_gpu'] = 2\n"


def trap(folder: Path, split: str, deed: object) -> str:
    """Return what arms a transform of a split's pipeline: ``hang``, ``slow``, or a signal."""
    (folder / 'armed').touch()
    return (
        f"data['{split}']['pipeline'].insert(1, dict(type='Trap', "
        f"armed=r'{folder}/armed', file='disc_3.png', deed='{deed}'))\n"
    )


PARTS = r'''
import os
import time
from pathlib import Path

import numpy as np
from mindspore import Parameter, Tensor, nn

from msseg.datasets.builder import PIPELINES
from msseg.models.builder import BACKBONES
from msseg.runner.builder import HOOKS
from msseg.runner.hooks import Hook


@BACKBONES.register_module()
class OneConv(nn.Cell):
    """One convolution; `ballast` numbers beside it make checkpoints as large as a test wants."""

    def __init__(self, ballast=0):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 4, stride=4, pad_mode='valid')
        self.ballast = Parameter(Tensor(np.zeros(ballast + 1, np.float32)), requires_grad=False)

    def init_weights(self):
        pass

    def construct(self, x):
        return (self.conv(x),)


@PIPELINES.register_module()
class Trap:
    """Does something to the process that loads a file, once the file `armed` is there."""

    def __init__(self, armed, file, deed):
        self.armed, self.file, self.deed = armed, file, deed

    def __call__(self, results):
        if results['img_info']['filename'].endswith(self.file) and os.path.exists(self.armed):
            if self.deed == 'hang':
                time.sleep(1000)
            elif self.deed == 'slow':
                time.sleep(0.5)
            else:
                os.kill(os.getpid(), int(self.deed))
        return results


@HOOKS.register_module()
class Pause(Hook):
    """Writes down the iterations that are done, and sleeps after each; may end the run."""

    def __init__(self, seconds=0.0, stop_at=None):
        self.seconds = seconds
        self.stop_at = stop_at

    def after_train_iter(self, runner):
        if runner.iter == self.stop_at:
            runner.stop('enough')
        if Path(runner.work_dir).is_dir():
            with open(Path(runner.work_dir) / 'done', 'a') as file:
                file.write(f'{runner.iter}\n')
        time.sleep(self.seconds)
'''
CONFIG = """
custom_imports = dict(imports=['small_parts'])
model = dict(
    type='EncoderDecoder', pretrained=None, backbone=dict(type='OneConv'),
    decode_head=dict(
        type='FCNHead', in_channels=4, in_index=0, channels=4, num_convs=0, concat_input=False,
        dropout_ratio=0, num_classes=2, norm_cfg=dict(type='BN'), align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss')),
    test_cfg=dict(mode='whole'))
normalize = dict(type='Normalize', mean=[127.5] * 3, std=[64.0] * 3, to_rgb=True)
dataset = dict(type='CustomDataset', data_root=r'{root}', img_suffix='.png',
               img_dir='images', ann_dir='labels', classes=('ground', 'disc'))
data = dict(
    samples_per_gpu=2, workers_per_gpu=0,
    train=dict(pipeline=[
        dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
        dict(type='RandomCrop', crop_size=(32, 32)), dict(type='RandomFlip', prob=0.5),
        normalize, dict(type='DefaultFormatBundle'),
        dict(type='Collect', keys=['img', 'gt_semantic_seg'])], **dataset),
    val=dict(pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='MultiScaleFlipAug', img_scale=(64, 48), flip=False, transforms=[
            dict(type='Resize', keep_ratio=True), normalize,
            dict(type='ImageToTensor', keys=['img']), dict(type='Collect', keys=['img'])])],
        **dataset))
optimizer = dict(type='SGD', lr=0.05, momentum=0.9)
optimizer_config = dict()
lr_config = dict(policy='poly', power=0.9, min_lr=1e-4, by_epoch=False)
runner = dict(type='IterBasedRunner', max_iters=6)
checkpoint_config = dict(interval=2, by_epoch=False)
evaluation = dict(interval=1000, by_epoch=False)
log_config = dict(interval=1, hooks=[dict(type='TextLoggerHook', by_epoch=False)])
"""


class SmallRun:
    """A config in a folder, and processes that train it into ``run`` beside it.

    Args:
        folder: Where to put all.
        more: What to append to the config.
        images: How many there are.
    """

    def __init__(self, folder: Path, more: str = '', images: int = 6) -> None:
        self.folder = folder
        self.work_dir = folder / 'run'
        self.data = write_discs(folder / 'data', images)
        (folder / 'small_parts.py').write_text(PARTS)
        self.config = folder / 'small.py'
        self.config.write_text(CONFIG.replace('{root}', str(self.data)) + more)
        self._started: list[subprocess.Popen] = []

    def start(self, *arguments: object, **popen: object) -> subprocess.Popen:
        """Start training; its output is in ``output`` of the folder."""
        command = [
            sys.executable, ROOT / 'tools' / 'train.py', self.config, '--work-dir', self.work_dir,
            '--device', 'CPU', '--seed', '0', *arguments,
        ]  # fmt: skip
        with (self.folder / 'output').open('w') as output:
            process = subprocess.Popen(
                [str(part) for part in command],
                env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': f'{ROOT}:{self.folder}'},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **popen,
            )
        self._started.append(process)
        return process

    def train(self, *arguments: object, timeout: float = 180, **popen: object) -> int:
        """Train to the end and return the exit status."""
        return self.start(*arguments, **popen).wait(timeout)

    @property
    def output(self) -> str:
        """What the last process has written."""
        return (self.folder / 'output').read_text()

    @property
    def done(self) -> list[int]:
        """The iterations that the hook Pause has seen, of all processes together."""
        path = self.work_dir / 'done'
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def checkpoints(self) -> list[str]:
        """Return the names of the checkpoints that there are, without those still being written."""
        return sorted(path.name for path in self.work_dir.glob('[!.]*.ckpt'))

    def wait_for(
        self, condition: Callable[[], object], process: subprocess.Popen, timeout: float = 120
    ) -> None:
        """Wait until a condition holds; the process must not end before."""
        deadline = time.monotonic() + timeout
        while not condition():
            assert process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)

    @property
    def error(self) -> str:
        """The one line of an error in what the last process has written."""
        lines = [line for line in self.output.splitlines() if line.startswith('error: ')]
        assert len(lines) == 1 and 'Traceback' not in self.output, self.output
        return lines[0]

    def end(self) -> None:
        """Kill what is still there of the processes and of their workers."""
        for process in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def make_run(tmp_path: Path) -> Iterator[Callable[..., SmallRun]]:
    """Return what makes a SmallRun in the test's folder; its processes end with the test."""
    runs = []

    def make(more: str = '', images: int = 6) -> SmallRun:
        runs.append(SmallRun(tmp_path, more, images))
        return runs[-1]

    yield make
    for run in runs:
        run.end()


def assert_left_nothing(run: SmallRun) -> None:
    """Check that neither a traceback nor a process is left of a run."""
    assert 'Traceback' not in run.output, run.output
    for process in psutil.process_iter(['cmdline']):
        assert str(run.config) not in (process.info['cmdline'] or [])
