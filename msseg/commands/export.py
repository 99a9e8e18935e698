"""Export a network: ``msseg export [CONFIG] CHECKPOINT --size H W --out FILE``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from msseg.commands.model_arguments import add_model_arguments, parse_model_arguments
from msseg.utils.cli import CommandParser
from msseg.utils.stop_signals import hear_interrupts


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    from msseg.config import add_cfg_options

    parser = CommandParser(
        description='Export a trained network to a file that runs without its training code.'
    )
    add_model_arguments(parser)
    parser.add_argument('--format', help="mindir, onnx or air (default: by --out's ending)")
    parser.add_argument('--out', required=True, help='the file; its metadata go to FILE.json')
    parser.add_argument(
        '--size', nargs=2, type=int, required=True, metavar=('H', 'W'), help="the images' size"
    )
    parser.add_argument('--batch', type=int, default=1, help='images at once (default: 1)')
    parser.add_argument(
        '--dynamic',
        action='store_true',
        help='take images of any size and any number of them; not for air. --size is then one '
        'of the sizes that are compared',
    )
    parser.add_argument('--argmax', action='store_true', help='give labels in place of logits')
    parser.add_argument(
        '--include-preprocessing',
        action='store_true',
        help='take bytes (n, h, w, 3) in BGR order, as cv2.imread gives them, and normalise inside',
    )
    parser.add_argument(
        '--images',
        nargs='+',
        default=[],
        metavar='FILE',
        help='images to compare file and checkpoint on (default: up to four of data.test)',
    )
    parser.add_argument(
        '--device', help='for air: the Ascend card; other formats are made on the CPU'
    )
    add_cfg_options(parser)
    return parse_model_arguments(parser, argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Export."""
    args = parse_args(argv)
    hear_interrupts()
    from msseg.apis.model_source import find_model
    from msseg.export import ExportOptions, export_model
    from msseg.utils.logging import setup_logging

    setup_logging(level='WARNING')
    options = ExportOptions(
        args.format or Path(args.out).suffix.removeprefix('.'),
        tuple(args.size),
        args.batch,
        args.argmax,
        args.include_preprocessing,
        args.dynamic,
    )
    cfg, checkpoint = find_model(args.config, args.checkpoint, args.cfg_options)
    if str(checkpoint) != args.checkpoint:
        print(f'checkpoint: {checkpoint}')
    metadata, agreement = export_model(cfg, checkpoint, args.out, options, args.images, args.device)
    megabytes = Path(args.out).stat().st_size / 1e6
    print(f'{args.out} ({megabytes:.1f} MB): {metadata.input} -> {metadata.output}')
    print(f'compared with the checkpoint: {agreement}')
