"""Count multiplications and parameters: ``msseg flops CONFIG --shape H W``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from msseg.utils.cli import CommandParser


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    from msseg.config import add_cfg_options

    parser = CommandParser(
        description="Count a segmentor's parameters and multiplications with addition (MACs)."
    )
    parser.add_argument('config', help='config file, or the name of one')
    parser.add_argument(
        '--shape',
        nargs='+',
        type=int,
        default=[1024, 2048],
        metavar='N',
        help="the image's height and width, or one number for both (default: 1024 2048)",
    )
    parser.add_argument(
        '--depth',
        type=int,
        default=2,
        help='levels of names that make a part (default 2: backbone.stage2)',
    )
    add_cfg_options(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Count and print."""
    args = parse_args(argv)
    size = (args.shape * 2)[:2] if len(args.shape) == 1 else args.shape
    if len(size) != 2 or min(size) < 1 or args.depth < 1:
        raise ValueError(
            f'--shape is {args.shape}, --depth is {args.depth}: expected height and width (or one '
            'number for both), all from 1'
        )
    from msseg.apis import build_model, load_config
    from msseg.models.analysis.complexity import count_complexity, format_complexity
    from msseg.utils.device import setup_device

    setup_device('CPU')  # nothing is computed
    model = build_model(load_config(args.config, args.cfg_options, parts=('model',)))
    print(format_complexity(count_complexity(model, tuple(size), args.depth), tuple(size)))
