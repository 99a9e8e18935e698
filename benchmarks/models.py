"""Networks of several families, next to MMSegmentation on PyTorch on the same cores."""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import mindspore as ms
import numpy as np

from benchmarks.measure import Comparison, compare
from msseg.apis.build import build_model
from msseg.config import Config
from msseg.models import InferenceSegmentor, SegmentorWithLoss
from msseg.runner import TrainStep, build_optimizer
from msseg.utils.device import set_seed, setup_device

HELP = 'prediction and train step of several networks / the same in MMSegmentation 0.30'
LIMITS = {'predict': 1.0, 'step': 1.2}
NETWORKS = {
    'deeplabv3plus_r50': 'deeplabv3plus/deeplabv3plus_r50-d8_512x1024_80k_cityscapes',
    'pspnet_r18': 'pspnet/pspnet_r18-d8_512x1024_80k_cityscapes',
    'unet': 'unet/fcn_unet_s5-d16_4x4_512x1024_160k_cityscapes',
    'bisenetv2': 'bisenetv2/bisenetv2_fcn_4x4_1024x1024_160k_cityscapes',
    'stdc1': 'stdc/stdc1_512x1024_80k_cityscapes',
}
_OTHER_SIDE = Path(__file__).with_name('in_mmsegmentation.py')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's options."""
    parser.add_argument(
        '--pytorch', required=True, help='the Python that has PyTorch, mmcv 1.7 and mmseg 0.30'
    )
    parser.add_argument(
        '--networks', nargs='+', default=list(NETWORKS), choices=list(NETWORKS), help='which'
    )
    parser.add_argument(
        '--actions', nargs='+', default=list(LIMITS), choices=list(LIMITS), help='what to time'
    )
    parser.add_argument(
        '--image', type=int, nargs=2, default=[512, 1024], help='h and w of a prediction'
    )
    parser.add_argument(
        '--batch', type=int, nargs=3, default=[2, 256, 512], help='n, h and w of a train step'
    )
    parser.add_argument('--cores', type=int, default=2, help='cores that both sides compute on')
    parser.add_argument('--rounds', type=int, default=5, help='times that each is measured')


class MMSegmentation:
    """The other side: a process that predicts or trains when asked to.

    Args:
        python: The Python that has MMSegmentation.
        cfg: The config of the network.
        args: The sizes and the number of cores.

    Raises:
        RuntimeError: The process has ended.
    """

    def __init__(self, python: str, cfg: Config, args: argparse.Namespace) -> None:
        self.folder = tempfile.TemporaryDirectory()
        printed = Path(self.folder.name) / 'printed.py'
        printed.write_text(cfg.pretty_text, encoding='utf-8')
        numbers = [*map(str, args.image), '--batch', *map(str, args.batch)]
        command = [python, '-I', '-W', 'ignore', str(_OTHER_SIDE), 'answer', str(printed)]
        self.process = subprocess.Popen(
            [*command, '--threads', str(args.cores), '--image', *numbers],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, 'OMP_NUM_THREADS': str(args.cores)},
        )
        self._wait_for('ready')

    def ask(self, action: str) -> None:
        """Wait until the other process has done ``predict`` or ``step`` once."""
        print(action, file=self.process.stdin, flush=True)
        self._wait_for('done')

    def _wait_for(self, word: str) -> None:
        for line in self.process.stdout:
            if line.strip() == word:
                return
        raise RuntimeError(f'{self.process.args[0]} ended with status {self.process.wait()}')

    def __enter__(self) -> MMSegmentation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
        self.folder.cleanup()


def run(args: argparse.Namespace) -> dict[tuple[str, str], Comparison]:
    """Measure, print a line for each network and action, and return the times."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.cores])  # and its children's
    setup_device('CPU')
    set_seed(0)
    found = {}
    for name in args.networks:
        cfg = Config.fromfile(f'configs/{NETWORKS[name]}.py')
        cfg.model.pop('pretrained', None)
        with MMSegmentation(args.pytorch, cfg, args) as other:
            for action in args.actions:
                here = _ACTIONS[action](cfg, args)
                times = compare(here, lambda: other.ask(action), args.rounds, warmup=1)  # noqa: B023
                found[name, action] = times
                shape = args.image if action == 'predict' else args.batch
                what = f'{name}, {action} of {"x".join(map(str, shape))}'
                print(times.report(what, 'MMSegmentation', LIMITS[action]), flush=True)
    return found


def _prediction(cfg: Config, args: argparse.Namespace) -> Callable[[], object]:
    network = InferenceSegmentor(build_model(cfg), 'logits', dynamic=False)
    image = ms.Tensor(np.random.default_rng(0).normal(size=(1, 3, *args.image)), ms.float32)
    return lambda: network(image).asnumpy()


def _step(cfg: Config, args: argparse.Namespace) -> Callable[[], object]:
    model = build_model(cfg)
    step = TrainStep(SegmentorWithLoss(model), build_optimizer(model, cfg.optimizer))
    rng, (number, *size) = np.random.default_rng(0), args.batch
    images = ms.Tensor(rng.normal(size=(number, 3, *size)), ms.float32)
    classes = model.output_spec.num_classes
    labels = ms.Tensor(rng.integers(0, classes, (number, *size)), ms.int32)
    return lambda: step(images, labels)[-1].asnumpy()


_ACTIONS = {'predict': _prediction, 'step': _step}
