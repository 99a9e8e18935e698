"""Make images and labels of DRIVE from its two archives.

Example:
    msseg convert-dataset drive training.zip test.zip --out data/DRIVE
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from msseg.datasets.picture_archives import PictureArchive, PictureTask, convert_pictures, stem_of
from msseg.utils.cli import CommandParser

_LABELS = ('1st_manual', '2nd_manual')


def convert_drive(training: Path, test: Path, out: Path) -> dict[str, int]:
    """Write images and labels; the pictures of the test archive are for validation.

    Args:
        training: ``training.zip``, or the folder that was unpacked.
        test: ``test.zip``, likewise. Newer downloads have no labels in it.
        out: Folder to write to.

    Returns:
        Number of files in each folder.

    Raises:
        FileNotFoundError, ValueError, FileExistsError: See `PictureArchive`, `convert_pictures`.
    """
    tasks = []
    for split, path, ending in (
        ('training', training, '_training'),
        ('validation', test, '_test'),
    ):
        archive = PictureArchive(path)
        before = len(tasks)
        for name in archive.names:
            folder, is_label = PurePosixPath(name).parent.name, False
            if folder in _LABELS:
                is_label = True
            elif folder != 'images':  # masks of the field of view
                continue
            stem = stem_of(name) if is_label else stem_of(name).removesuffix(ending)
            tasks.append(PictureTask(archive, name, split, stem, is_label))
        if len(tasks) == before:
            raise ValueError(
                f'{path}: no folder images or 1st_manual is in it; give the archive as downloaded'
            )
    return convert_pictures(tasks, out)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = CommandParser(description='Make images and labels of DRIVE from its two archives.')
    parser.add_argument('training_path', type=Path, help='training.zip')
    parser.add_argument('testing_path', type=Path, help='test.zip')
    parser.add_argument('-o', '--out', type=Path, default='data/DRIVE', help='folder to write to')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert the data set."""
    args = parse_args(argv)
    counts = convert_drive(args.training_path, args.testing_path, args.out)
    print(f'wrote to {args.out}: {counts}')
