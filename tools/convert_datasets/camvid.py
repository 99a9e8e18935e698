"""Make images and labels of 11 classes from a CamVid download.

Example:
    python tools/convert_datasets/camvid.py downloads/CamVid --out data/camvid
"""

from __future__ import annotations

import argparse
from pathlib import Path

from msseg.apis.convert_camvid import convert_camvid
from msseg.utils.cli import CommandParser, run_main


def parse_args() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = CommandParser(
        description='Make images/SPLIT and annotations/SPLIT with 11 classes (255: none of them) '
        'from a CamVid download: the original one, or the SegNet tutorial copy of it.'
    )
    parser.add_argument('camvid_path', type=Path, help='folder of the download, unpacked')
    parser.add_argument('--out', type=Path, required=True, help='folder to write to')
    return parser.parse_args()


def main() -> None:
    """Convert the data set."""
    args = parse_args()
    counts = convert_camvid(args.camvid_path, args.out)
    print(f'wrote to {args.out}: {counts}')


if __name__ == '__main__':
    run_main(main)
