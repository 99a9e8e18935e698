"""Try a model in a browser: ``msseg serve MODEL``."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from msseg.commands.model_arguments import add_model_arguments, parse_model_arguments
from msseg.utils.cli import CommandParser, announce
from msseg.utils.device_name import DEVICE_HELP
from msseg.utils.display import Display
from msseg.utils.errors import UserValueError, check_one_of
from msseg.utils.extras import import_extra
from msseg.utils.image_bytes import check_whole
from msseg.utils.image_loading import ImageLoading, LoadedImage
from msseg.utils.stop_signals import ending_by_sigterm, hear_interrupts

if TYPE_CHECKING:
    from msseg.serving.labelling import Backend, Rows

_RUNTIMES = ('auto', 'mindspore', 'onnxruntime', 'lite')
_MAX_BYTES, _MAX_PIXELS, _RATE = 20_000_000, 16_000_000, 600
# Probabilities in memory at a time, of which each takes up to 16 bytes: with many classes images
# have to be smaller.
_MOST_VALUES = 200_000_000


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    from msseg.config import add_cfg_options

    parser = CommandParser(
        description='Serve a page to try a model on images, and the same as JSON. The model is a '
        'checkpoint, or a file of msseg export (.onnx, .mindir, .ms).'
    )
    add_model_arguments(parser)
    parser.add_argument(
        '--host',
        default='127.0.0.1',
        help='address to listen on; by default only this machine reaches it, 0.0.0.0 lets every '
        'other one in',
    )
    parser.add_argument(
        '--port', type=int, default=8000, help='default: %(default)s; 0 takes a free one'
    )
    parser.add_argument(
        '--allowed-host',
        action='append',
        default=[],
        metavar='NAME',
        help='another name by which browsers may open the server; can be repeated',
    )
    parser.add_argument(
        '--max-bytes', type=int, default=_MAX_BYTES, help='of a request (default: %(default)s)'
    )
    parser.add_argument(
        '--max-pixels',
        type=int,
        help=f'of an image (default: {_MAX_PIXELS}, fewer with more than '
        f'{_MOST_VALUES // _MAX_PIXELS} classes)',
    )
    parser.add_argument(
        '--rate',
        type=int,
        default=_RATE,
        help='images a minute from one address (default: %(default)s)',
    )
    parser.add_argument('--device', default='auto', help=DEVICE_HELP)
    parser.add_argument(
        '--runtime',
        default='auto',
        help='of an exported file: auto (default, by the ending), mindspore, onnxruntime or lite',
    )
    add_cfg_options(parser)
    args = parse_model_arguments(parser, argv)
    for name in ('max_bytes', 'max_pixels', 'rate'):
        value = getattr(args, name)
        if value is not None and value < 1:
            parser.error(f'--{name.replace("_", "-")} is {value}, expected a number above 0')
    if not 0 <= args.port <= 65535:
        parser.error(f'--port is {args.port}, expected a number from 0 to 65535')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Serve."""
    args = parse_args(argv)
    hear_interrupts()
    announce(f'serving {args.checkpoint}')
    with ending_by_sigterm():
        for package in ('fastapi', 'uvicorn', 'python_multipart'):
            import_extra(package, 'serve', 'msseg serve')
        from msseg.serving.guard import Limits
        from msseg.serving.server import serve

        backend = _open(args)
    max_pixels = args.max_pixels or min(_MAX_PIXELS, _MOST_VALUES // len(backend.classes))
    limits = Limits(args.max_bytes, max_pixels, args.rate)
    serve(backend, limits, args.host, args.port, tuple(args.allowed_host))


def _open(args: argparse.Namespace) -> Backend:
    from msseg.serving.labelling import ExportedBackend, is_exported

    check_one_of('--runtime', args.runtime, _RUNTIMES)
    if is_exported(args.checkpoint):
        if args.config or args.cfg_options:
            what = args.config or '--cfg-options'
            problem = 'an exported file needs no config, and is not changed by one'
            raise UserValueError(problem, who=args.checkpoint, advice=f'leave out {what}')
        return ExportedBackend(args.checkpoint, args.device, args.runtime)
    if args.runtime != 'auto':
        problem = f'--runtime {args.runtime} is for files of msseg export, not for checkpoints'
        raise UserValueError(problem, who=args.checkpoint, advice='leave it out')
    return CheckpointBackend(args)


class CheckpointBackend:
    """Label with a checkpoint; see `msseg.serving.labelling.Backend`."""

    def __init__(self, args: argparse.Namespace) -> None:
        from msseg.apis.inference import init_segmentor
        from msseg.apis.model_source import find_model
        from msseg.prediction.labeller import Labeller
        from msseg.prediction.predict import PredictOptions
        from msseg.utils.logging import setup_logging

        setup_logging(level='WARNING')
        cfg, checkpoint = find_model(args.config, args.checkpoint, args.cfg_options)
        network = init_segmentor(cfg, checkpoint, args.device)
        path = Path(checkpoint).resolve()
        self.name = f'{path.parent.name}/{path.name}'
        self.classes, self.palette = network.CLASSES, network.PALETTE
        self._labeller = Labeller(network, PredictOptions.tile, PredictOptions.overlap)
        prepare = self._labeller.prepare
        self.loading = prepare.reads_files.loading if prepare.reads_files else ImageLoading()
        self.display = Display.of_loader(prepare.loader)

    def load(self, data: bytes) -> LoadedImage:
        """Load an image as the config's first step does."""
        prepare = self._labeller.prepare
        if prepare.reads_files is not None:
            check_whole(data, 'the image')
            return self.loading.load(data, 'the image')
        with tempfile.NamedTemporaryFile(prefix='msseg-') as file:  # a user's step reads files
            file.write(data)
            file.flush()
            found = prepare.load(file.name)
        return LoadedImage(found['img'], found.get('no_data'))

    def rows(self, data: bytes) -> Rows:
        """Yield labels and probabilities, of a large image tile by tile."""
        image = self.load(data).img
        read_rows = lambda top, bottom: image[top:bottom]  # noqa: E731
        size = image.shape[:2]
        for rows, labels, values in self._labeller.rows(read_rows, size, 'the image', np.float32):
            yield rows, labels, np.moveaxis(values, -1, 0)
