"""Draw a small Cityscapes-shaped data set, for users without Cityscapes and for tests.

Example:
    python tools/convert_datasets/synthetic_cityscapes.py --out data/synthetic_cityscapes
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from msseg.utils.cli import CommandParser, run_main

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.synthetic_cityscapes import write_synthetic_cityscapes


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = CommandParser(
        description='Draw streets with the 19 Cityscapes classes: images, labelIds, '
        'labelTrainIds, train.lst and val.lst.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--out', type=Path, required=True, help='a new or empty folder')
    parser.add_argument('--num-train', type=int, default=160, help='scenes to train on')
    parser.add_argument('--num-val', type=int, default=40, help='scenes to validate on')
    parser.add_argument('--height', type=int, default=128, help='height in pixels')
    parser.add_argument('--width', type=int, default=256, help='width in pixels')
    parser.add_argument('--seed', type=int, default=0, help='another seed draws other scenes')
    return parser.parse_args()


def main() -> None:
    """Draws and writes the data set."""
    args = parse_args()
    write_synthetic_cityscapes(
        args.out, args.num_train, args.num_val, args.height, args.width, args.seed
    )
    print(f'wrote {args.num_train} train and {args.num_val} val scenes to {args.out}')


if __name__ == '__main__':
    run_main(main)
