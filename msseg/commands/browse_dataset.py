"""Look at augmented training samples: ``msseg browse CONFIG --out DIR``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from msseg.utils.cli import CommandParser, add_picture_options


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    from msseg.config import add_cfg_options

    parser = CommandParser(
        description='Write a page of training samples as the network gets them.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('config', help='config file, or the name of one')
    parser.add_argument('--out', required=True, help='folder for the page')
    parser.add_argument('--count', type=int, default=12, help='number of samples')
    parser.add_argument('--draws', type=int, default=3, help='how often each is augmented')
    parser.add_argument('--seed', type=int, default=0, help='of the augmentation')
    add_picture_options(parser, has_legend=False)
    add_cfg_options(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Write the page and say where."""
    args = parse_args(argv)
    from msseg.apis import load_config
    from msseg.reports.browse import browse_dataset

    cfg = load_config(args.config, args.cfg_options)
    page = browse_dataset(
        cfg, args.out, args.count, args.draws, args.seed, args.opacity, args.tint_background
    )
    print(f'wrote {page}')
