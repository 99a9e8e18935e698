"""Make images and labels of CHASE DB1 from its archive.

Example:
    msseg convert-dataset chase_db1 CHASEDB1.zip --out data/CHASE_DB1
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from msseg.datasets.picture_archives import PictureArchive, PictureTask, convert_pictures, stem_of
from msseg.utils.cli import CommandParser

_PICTURES_PER_EYE = 3  # the image, and the labels of two observers
_NUM_EYES = 28
_NUM_TRAINING = 20


def convert_chase_db1(path: Path, out: Path) -> dict[str, int]:
    """Write images and labels; the first 20 eyes are for training.

    Args:
        path: ``CHASEDB1.zip``, or the folder that was unpacked.
        out: Folder to write to.

    Returns:
        Number of files in each folder.

    Raises:
        FileNotFoundError, ValueError, FileExistsError: See `PictureArchive`, `convert_pictures`.
    """
    archive = PictureArchive(path)
    archive.check_count(_NUM_EYES * _PICTURES_PER_EYE)
    tasks = []
    for i, name in enumerate(archive.names):
        split = 'training' if i < _NUM_TRAINING * _PICTURES_PER_EYE else 'validation'
        is_label = not name.lower().endswith('.jpg')
        tasks.append(PictureTask(archive, name, split, stem_of(name), is_label))
    return convert_pictures(tasks, out)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = CommandParser(description='Make images and labels of CHASE DB1 from its archive.')
    parser.add_argument('dataset_path', type=Path, help='CHASEDB1.zip')
    parser.add_argument(
        '-o', '--out', type=Path, default='data/CHASE_DB1', help='folder to write to'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert the data set."""
    args = parse_args(argv)
    counts = convert_chase_db1(args.dataset_path, args.out)
    print(f'wrote to {args.out}: {counts}')
