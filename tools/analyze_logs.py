"""Draw loss and score of a run: ``python tools/analyze_logs.py LOG --out curve.png``."""

from __future__ import annotations

import argparse

from msseg.apis.report import draw_curve
from msseg.utils.cli import run_main


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(
        description='Draw the loss and a score of a run.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('log', help='the .log.json file in the work dir')
    parser.add_argument('--out', default='curve.png', help='the PNG to write')
    parser.add_argument('--score', default='mIoU', help='which evaluated score to draw')
    return parser.parse_args()


def main() -> None:
    """Draws and says where."""
    args = parse_args()
    draw_curve(args.log, args.out, args.score)
    print(f'wrote {args.out}')


if __name__ == '__main__':
    run_main(main)
