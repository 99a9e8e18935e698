"""What a loss on one head costs, against a whole train step with cross-entropy."""

from __future__ import annotations

import argparse

import mindspore as ms
import numpy as np
from mindspore import nn

from benchmarks.measure import Comparison, compare
from benchmarks.synthetic import draw_street
from msseg.apis.build import build_model
from msseg.config import Config
from msseg.datasets.cityscapes import LABEL_ID_MAP
from msseg.models import SegmentorWithLoss, build_loss
from msseg.runner import TrainStep, build_optimizer
from msseg.utils.device import set_seed, setup_device

HELP = 'value and gradient of a loss on one head / a whole train step with cross-entropy'
LIMITS = {'FocalLoss': 0.3, 'LovaszLoss': 0.5, 'RMILoss': 0.5}
_OPTIONS = {'LovaszLoss': {'reduction': 'none'}}
_NUM_CLASSES = 19


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's options."""
    parser.add_argument(
        '--config',
        default='configs/ocrnet/ocrnet_hr18s_512x1024_40k_cityscapes.py',
        help='the model that trains, with random weights',
    )
    parser.add_argument('--height', type=int, default=256, help="the crops' height")
    parser.add_argument('--width', type=int, default=512, help="the crops' width")
    parser.add_argument('--images', type=int, default=2, help='crops in a batch')
    parser.add_argument('--rounds', type=int, default=5, help='times that each is measured')


class _ValueAndGradient(nn.Cell):
    """A loss and its gradient for logits of the labels' size."""

    def __init__(self, loss: nn.Cell) -> None:
        super().__init__()
        self.loss = loss
        self.value_and_grad = ms.value_and_grad(self.sum)

    def sum(self, logits: ms.Tensor, labels: ms.Tensor) -> ms.Tensor:
        return self.loss(logits, labels).sum()

    def construct(self, logits: ms.Tensor, labels: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor]:
        return self.value_and_grad(logits, labels)


def run(args: argparse.Namespace) -> dict[str, Comparison]:
    """Measure, print a line for each loss and return the times by its name."""
    setup_device('auto')
    set_seed(0)
    rng = np.random.default_rng(0)
    size = (args.height, args.width)
    labels = ms.Tensor(_street_labels(args.images, size))
    images = ms.Tensor(rng.normal(size=(args.images, 3, *size)), ms.float32)
    logits = ms.Tensor(rng.normal(size=(args.images, _NUM_CLASSES, *size)), ms.float32)
    step = _build_step(args.config)

    def train() -> None:
        step(images, labels)[-1].asnumpy()

    results = {}
    for name, limit in LIMITS.items():
        cost = _ValueAndGradient(build_loss({'type': name, **_OPTIONS.get(name, {})}))

        def compute(cost: nn.Cell = cost) -> None:
            value, gradient = cost(logits, labels)
            value.asnumpy(), gradient.asnumpy()

        times = compare(compute, train, args.rounds, warmup=1)
        crops = f'{args.images} crops of {args.height}x{args.width}'
        print(times.report(f'{name}, {crops}', 'train step', limit), flush=True)
        results[name] = times
    return results


def _build_step(config: str) -> TrainStep:
    cfg = Config.fromfile(config)
    model = build_model(cfg)
    return TrainStep(SegmentorWithLoss(model), build_optimizer(model, cfg.optimizer))


def _street_labels(count: int, size: tuple[int, int]) -> np.ndarray:
    table = np.array([LABEL_ID_MAP[label_id] for label_id in range(256)], np.int32)
    return np.stack([table[draw_street(*size, seed=0, index=i)[1]] for i in range(count)])
