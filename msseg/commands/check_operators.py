"""Audit a config for a card: ``msseg check-operators CONFIG --device Ascend``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from msseg.utils.cli import CommandParser

DEVICES = ('Ascend', 'GPU')


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    from msseg.config import add_cfg_options

    parser = CommandParser(
        description='Compile what a config trains and predicts with as for a card, which need not '
        'be there, and list the operators that the card does not run, or runs wrongly.'
    )
    parser.add_argument('config', help='config file, or the name of one')
    parser.add_argument(
        '--device', choices=DEVICES, help='Ascend or GPU (default: one after the other)'
    )
    parser.add_argument(
        '--size',
        nargs=2,
        type=int,
        default=[128, 128],
        metavar=('H', 'W'),
        help="the images' size (default: 128 128)",
    )
    add_cfg_options(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Check and print; the exit status is 1 with findings."""
    args = parse_args(argv)
    if min(args.size) < 1:
        raise ValueError(f'--size is {args.size}, expected height and width from 1')
    from msseg.apis import load_config
    from msseg.checks.operators import check_operators, format_faults
    from msseg.utils.device import setup_device

    setup_device('CPU')  # nothing is computed
    cfg = load_config(args.config, args.cfg_options)
    found = {
        device: check_operators(cfg, device, tuple(args.size))
        for device in ([args.device] if args.device else DEVICES)
    }
    print(format_faults(found))
    if any(found.values()):
        sys.exit(1)
