"""Make images and labels of STARE from its three archives.

Example:
    msseg convert-dataset stare stare-images.tar labels-ah.tar labels-vk.tar
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from msseg.datasets.picture_archives import PictureArchive, PictureTask, convert_pictures, stem_of
from msseg.utils.cli import CommandParser

_NUM_PICTURES = 20
_NUM_TRAINING = 10


def convert_stare(images: Path, *labels: Path, out: Path) -> dict[str, int]:
    """Write images and labels; the first half is for training.

    Args:
        images: ``stare-images.tar``, or the folder that was unpacked.
        *labels: ``labels-ah.tar`` and ``labels-vk.tar``, likewise.
        out: Folder to write to.

    Returns:
        Number of files in each folder.

    Raises:
        FileNotFoundError, ValueError, FileExistsError: See `PictureArchive`, `convert_pictures`.
    """
    tasks = []
    for path in (images, *labels):
        archive = PictureArchive(path)
        archive.check_count(_NUM_PICTURES)
        for i, name in enumerate(archive.names):
            split = 'training' if i < _NUM_TRAINING else 'validation'
            tasks.append(PictureTask(archive, name, split, stem_of(name), path is not images))
    return convert_pictures(tasks, out)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = CommandParser(description='Make images and labels of STARE from its three archives.')
    parser.add_argument('image_path', type=Path, help='stare-images.tar')
    parser.add_argument('labels_ah', type=Path, help='labels-ah.tar')
    parser.add_argument('labels_vk', type=Path, help='labels-vk.tar')
    parser.add_argument('-o', '--out', type=Path, default='data/STARE', help='folder to write to')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert the data set."""
    args = parse_args(argv)
    counts = convert_stare(args.image_path, args.labels_ah, args.labels_vk, out=args.out)
    print(f'wrote to {args.out}: {counts}')
