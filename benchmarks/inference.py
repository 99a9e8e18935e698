"""The network on one large image: what follows it, and what exporting makes of it."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import nn

from benchmarks.exported import LIMITS, compare_file, measure_usage, write_file
from benchmarks.measure import Comparison, compare
from msseg.apis.build import build_model
from msseg.config import Config
from msseg.models import InferenceSegmentor
from msseg.utils.device import set_seed, setup_device

HELP = (
    'on one large image: logits to labels (resize, argmax, copy) / the network; files exported '
    'from it, labels at full size included / the network'
)
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
    parser.add_argument(
        '--formats',
        nargs='*',
        default=['mindir', 'onnx'],
        choices=list(LIMITS),
        help='exported files to measure; give no name to leave them out',
    )
    parser.add_argument(
        '--only-exported', action='store_true', help='leave the first comparison out'
    )


class _Network(nn.Cell):
    """Image to logits at the network's own size.

    Args:
        segmentor: The network.
        dynamic: Whether one graph serves all sizes, as in testing; one size is a little faster.
    """

    def __init__(self, segmentor: nn.Cell, dynamic: bool) -> None:
        super().__init__(auto_prefix=False)
        self.segmentor = segmentor
        self.set_train(False)
        if dynamic:
            shape = [None, segmentor.in_channels, None, None]
            self.set_inputs(ms.Tensor(shape=shape, dtype=ms.float32))

    def construct(self, img: ms.Tensor) -> ms.Tensor:
        return self.segmentor.predict(img)


class _Rest(nn.Cell):
    """Logits to labels at the image's size, as testing computes them."""

    def __init__(self, segmentor: nn.Cell, size: tuple[int, int]) -> None:
        super().__init__(auto_prefix=False)
        self.whole = InferenceSegmentor(segmentor, 'labels', dynamic=False)
        self.size = size

    def construct(self, logits: ms.Tensor) -> ms.Tensor:
        return self.whole.finish(logits, self.size)


def run(args: argparse.Namespace) -> list[Comparison]:
    """Measures, prints a line for each comparison and returns the times."""
    setup_device('auto')
    set_seed(0)
    cfg = Config.fromfile(args.config)
    size = (args.height, args.width)
    img = np.random.default_rng(0).normal(size=(1, 3, *size)).astype(np.float32)
    found = [] if args.only_exported else [_measure_rest(build_model(cfg), img, args.rounds)]
    if args.formats:
        network = _Network(build_model(cfg), dynamic=False)
        for file_format in args.formats:
            with tempfile.TemporaryDirectory() as folder:
                path = write_file(build_model(cfg), file_format, size, Path(folder))
                found.append(compare_file(path, network, img, args.rounds))
                name = f'exported {file_format} at {args.height}x{args.width}'
                print(found[-1].report(name, 'network', LIMITS[file_format]), flush=True)
                print(measure_usage(path).report(), flush=True)
    return found


def _measure_rest(segmentor: nn.Cell, img: np.ndarray, rounds: int) -> Comparison:
    network, size = _Network(segmentor, dynamic=True), img.shape[2:]
    rest, tensor = _Rest(segmentor, size), ms.Tensor(img)
    logits = network(tensor)
    logits.asnumpy()
    times = compare(
        lambda: rest(logits).asnumpy(), lambda: network(tensor).asnumpy(), rounds, warmup=1
    )
    print(times.report(f'logits to labels at {size[0]}x{size[1]}', 'network', LIMIT), flush=True)
    return times
