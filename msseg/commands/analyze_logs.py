"""Draw curves and print times of runs: ``msseg analyze LOG… --out curve.png``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from msseg.reports.curves import draw_curve, draw_runs, find_logs, time_table
from msseg.utils.cli import CommandParser


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = CommandParser(
        description='Draw loss and score of one or several runs; print where their time went.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        'logs', nargs='+', metavar='LOG', help='.log.json files, or the work dirs they are in'
    )
    parser.add_argument('--out', default='curve.png', help='the PNG to write')
    parser.add_argument('--score', default='mIoU', help='which evaluated score to draw')
    parser.add_argument(
        '--keys', nargs='+', default=['loss'], help='which values of training to draw'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Draw and print."""
    args = parse_args(argv)
    logs = find_logs(args.logs)
    if len(logs) == 1 and args.keys == ['loss']:
        draw_curve(next(iter(logs.values())), args.out, args.score)
    else:
        draw_runs(logs, args.out, args.score, args.keys)
    print(time_table(logs))
    print(f'wrote {args.out}')
