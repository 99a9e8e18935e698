"""Make Cityscapes' labelTrainIds from its labelIds, and train.txt, val.txt and test.txt.

Example:
    python tools/convert_datasets/cityscapes.py data/cityscapes --nproc 8
"""

from __future__ import annotations

import argparse
from pathlib import Path

from msseg.apis.convert_cityscapes import convert_cityscapes
from msseg.utils.cli import CommandParser, run_main


def parse_args() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = CommandParser(
        description='Make *_labelTrainIds.png from *_labelIds.png, and the lists of the splits.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('cityscapes_path', type=Path, help='holds leftImg8bit and gtFine')
    parser.add_argument('--gt-dir', default='gtFine', help='folder of the labels in it')
    parser.add_argument('-o', '--out-dir', type=Path, help='where to write; in place by default')
    parser.add_argument('--nproc', type=int, default=1, help='number of processes')
    return parser.parse_args()


def main() -> None:
    """Convert the labels."""
    args = parse_args()
    counts = convert_cityscapes(args.cityscapes_path, args.gt_dir, args.out_dir, args.nproc)
    print(f'wrote labelTrainIds: {counts}')


if __name__ == '__main__':
    run_main(main)
