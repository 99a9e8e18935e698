"""What follows the network when an image is segmented, against the network itself."""

from __future__ import annotations

import argparse

import mindspore as ms
import numpy as np
from mindspore import nn

from msseg.apis.benchmark.measure import Comparison, compare
from msseg.apis.build import build_model
from msseg.config import Config
from msseg.models import SegmentorForTest
from msseg.utils.device import set_seed, setup_device

HELP = 'logits to labels on the host (resize, argmax, copy) / the network, on one large image'
LIMIT = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the subcommand's options."""
    parser.add_argument(
        '--config',
        default='configs/ocrnet/ocrnet_hr18s_512x1024_40k_cityscapes.py',
        help='the model to run, with random weights',
    )
    parser.add_argument('--height', type=int, default=1024, help="the image's height")
    parser.add_argument('--width', type=int, default=2048, help="the image's width")
    parser.add_argument('--rounds', type=int, default=5, help='times that both are measured')


class _Network(nn.Cell):
    """Image to logits at the network's own size."""

    def __init__(self, segmentor: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.segmentor = segmentor
        self.set_train(False)
        self.set_inputs(ms.Tensor(shape=[None, 3, None, None], dtype=ms.float32))

    def construct(self, img: ms.Tensor) -> ms.Tensor:
        return self.segmentor.predict(img)


class _Rest(nn.Cell):
    """Logits to labels at the image's size, as testing computes them."""

    def __init__(self, segmentor: nn.Cell, size: tuple[int, int]) -> None:
        super().__init__(auto_prefix=False)
        self.whole = SegmentorForTest(segmentor, 'labels', dynamic=False)
        self.size = size

    def construct(self, logits: ms.Tensor) -> ms.Tensor:
        return self.whole.finish(logits, self.size)


def run(args: argparse.Namespace) -> Comparison:
    """Measures, prints a line and returns the times."""
    setup_device('auto')
    set_seed(0)
    segmentor = build_model(Config.fromfile(args.config))
    network = _Network(segmentor)
    rest = _Rest(segmentor, (args.height, args.width))
    shape = (1, 3, args.height, args.width)
    img = ms.Tensor(np.random.default_rng(0).normal(size=shape), ms.float32)
    logits = network(img)
    logits.asnumpy()

    times = compare(
        lambda: rest(logits).asnumpy(), lambda: network(img).asnumpy(), args.rounds, warmup=1
    )
    size = f'{args.height}x{args.width}'
    print(times.report(f'logits to labels at {size}', 'network', LIMIT))
    return times
