"""Networks of several families, next to MMSegmentation on PyTorch on the same cores."""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import mindspore as ms
import numpy as np

from benchmarks.exported import write_file
from benchmarks.measure import Comparison, compare
from msseg.apis.build import build_model
from msseg.config import Config
from msseg.models import InferenceSegmentor, SegmentorWithLoss
from msseg.runner import TrainStep, build_optimizer
from msseg.utils.device import set_seed, setup_device

HELP = 'prediction and train step of several networks / the same in MMSegmentation'


@dataclass(frozen=True)
class Network:
    """What is measured.

    Attributes:
        config: A file of ``configs/``, or of MMSegmentation 0.30's as ``mmseg::…``.
        image: Height and width of a prediction.
        step_limit: Largest time of a train step, over MMSegmentation's.
        is_1x: Whether the file, and so the other side, is MMSegmentation 1.x's.
    """

    config: str
    image: tuple[int, int] = (512, 1024)
    step_limit: float = 1.2
    is_1x: bool = False

    def load(self) -> Config:
        """Return the config, without pretrained weights and without mixed precision."""
        base = self.config if '::' in self.config else f'msseg::{self.config}'
        cfg = Config.fromstring(f'_base_ = {base!r}', '.py')
        cfg.model.pop('pretrained', None)
        cfg.model.backbone.pop('init_cfg', None)
        if cfg.pop('fp16', None) is not None:
            cfg.optimizer_config = {}
        return cfg

    def limit(self, action: str) -> float:
        """Return the largest time of an action, over PyTorch's."""
        return {'predict': 1.0, 'step': self.step_limit, 'onnx': 0.8}[action]


_SMALLER = {'image': (512, 512), 'step_limit': 1.3}
NETWORKS = {
    'deeplabv3plus_r50': Network('deeplabv3plus/deeplabv3plus_r50-d8_512x1024_80k_cityscapes.py'),
    'pspnet_r18': Network('pspnet/pspnet_r18-d8_512x1024_80k_cityscapes.py'),
    'unet': Network('unet/fcn_unet_s5-d16_4x4_512x1024_160k_cityscapes.py'),
    'bisenetv2': Network('bisenetv2/bisenetv2_fcn_4x4_1024x1024_160k_cityscapes.py'),
    'stdc1': Network('stdc/stdc1_512x1024_80k_cityscapes.py'),
    'segformer_b0': Network('mmseg::segformer/segformer_mit-b0_512x512_160k_ade20k.py', **_SMALLER),
    'segformer_b2': Network('mmseg::segformer/segformer_mit-b2_512x512_160k_ade20k.py', **_SMALLER),
    'upernet_swin-t': Network(
        'mmseg::swin/upernet_swin_tiny_patch4_window7_512x512_160k_ade20k_pretrain_224x224_1K.py',
        **_SMALLER,
    ),
    'upernet_convnext-t': Network(
        'mmseg::convnext/upernet_convnext_tiny_fp16_512x512_160k_ade20k.py', **_SMALLER
    ),
    'pidnet-s': Network('demo/pidnet-s_nuclei.py', **_SMALLER, is_1x=True),
}
_OTHER_SIDE = Path(__file__).with_name('in_mmsegmentation.py')
_CONFIGS = Path(__file__).parents[1] / 'configs'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's options."""
    parser.add_argument(
        '--pytorch', help='the Python that has PyTorch, mmcv 1.7, mmcls and mmseg 0.30'
    )
    parser.add_argument(
        '--pytorch-1x', help='the Python that has MMSegmentation 1.x, for networks of its files'
    )
    parser.add_argument(
        '--networks', nargs='+', default=list(NETWORKS), choices=list(NETWORKS), help='which'
    )
    parser.add_argument(
        '--actions',
        nargs='+',
        default=list(_ACTIONS),
        choices=list(_ACTIONS),
        help='what to time; onnx: the exported file in ONNX Runtime, labels at full size included',
    )
    parser.add_argument(
        '--image', type=int, nargs=2, help="h and w of a prediction, instead of the network's"
    )
    parser.add_argument(
        '--batch', type=int, nargs=3, default=[2, 256, 512], help='n, h and w of a train step'
    )
    parser.add_argument('--cores', type=int, default=2, help='cores that both sides compute on')
    parser.add_argument('--rounds', type=int, default=5, help='times that each is measured')


class MMSegmentation:
    """The other side: a process that predicts or trains when asked to.

    Args:
        network: The network.
        args: The Pythons, the sizes and the number of cores.

    Raises:
        ValueError: The Python that has MMSegmentation was not named.
        RuntimeError: The process has ended.
    """

    def __init__(self, network: Network, args: argparse.Namespace) -> None:
        option = 'pytorch_1x' if network.is_1x else 'pytorch'
        python = getattr(args, option)
        if python is None:
            raise ValueError(f'{network.config}: name its Python by --{option.replace("_", "-")}')
        self.folder = tempfile.TemporaryDirectory()
        printed = Path(self.folder.name) / 'printed.py'
        if network.is_1x:
            printed = _CONFIGS / network.config
        else:
            printed.write_text(network.load().pretty_text, encoding='utf-8')
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
        with contextlib.suppress(BrokenPipeError):  # it has ended, which the next line reports
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
        with contextlib.suppress(BrokenPipeError):
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
        network = NETWORKS[name]
        sizes = argparse.Namespace(**{**vars(args), 'image': args.image or network.image})
        with MMSegmentation(network, sizes) as other:
            for action in args.actions:
                here = _ACTIONS[action](network.load(), sizes)
                asked = 'step' if action == 'step' else 'predict'
                times = compare(here, functools.partial(other.ask, asked), args.rounds, warmup=1)
                found[name, action] = times
                shape = sizes.batch if action == 'step' else sizes.image
                what = f'{name}, {action} of {"x".join(map(str, shape))}'
                print(times.report(what, 'MMSegmentation', network.limit(action)), flush=True)
    return found


def _image(sizes: argparse.Namespace) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(1, 3, *sizes.image)).astype(np.float32)


def _prediction(cfg: Config, sizes: argparse.Namespace) -> Callable[[], object]:
    network = InferenceSegmentor(build_model(cfg), 'logits', dynamic=False)
    image = ms.Tensor(_image(sizes))
    return lambda: network(image).asnumpy()


def _exported(cfg: Config, sizes: argparse.Namespace) -> Callable[[], object]:
    from msseg.deploy.runners import open_file

    with tempfile.TemporaryDirectory() as folder:
        path = write_file(build_model(cfg), 'onnx', tuple(sizes.image), Path(folder))
        runner = open_file(path, 'auto', 'CPU')
    return functools.partial(runner, _image(sizes))


def _step(cfg: Config, sizes: argparse.Namespace) -> Callable[[], object]:
    model = build_model(cfg)
    step = TrainStep(SegmentorWithLoss(model), build_optimizer(model, cfg.optimizer))
    rng, (number, *size) = np.random.default_rng(0), sizes.batch
    images = ms.Tensor(rng.normal(size=(number, 3, *size)), ms.float32)
    classes = model.output_spec.num_classes
    labels = ms.Tensor(rng.integers(0, classes, (number, *size)), ms.int32)
    return lambda: step(images, labels)[-1].asnumpy()


_ACTIONS = {'predict': _prediction, 'step': _step, 'onnx': _exported}
