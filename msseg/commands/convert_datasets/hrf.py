"""Make images and labels of HRF from its six archives.

Example:
    msseg convert-dataset hrf healthy.zip healthy_manualsegm.zip glaucoma.zip \
        glaucoma_manualsegm.zip diabetic_retinopathy.zip diabetic_retinopathy_manualsegm.zip
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from msseg.datasets.picture_archives import PictureArchive, PictureTask, convert_pictures, stem_of
from msseg.utils.cli import CommandParser

_NUM_PICTURES = 15
_NUM_TRAINING = 5
_GROUPS = ('healthy', 'glaucoma', 'diabetic_retinopathy')


def convert_hrf(images: Sequence[Path], labels: Sequence[Path], out: Path) -> dict[str, int]:
    """Write images and labels; the first 5 pictures of each archive are for training.

    Args:
        images: The archives of the images, or the folders that were unpacked.
        labels: Those of the labels.
        out: Folder to write to.

    Returns:
        Number of files in each folder.

    Raises:
        FileNotFoundError, ValueError, FileExistsError: See `PictureArchive`, `convert_pictures`.
    """
    tasks = []
    for is_label, paths in ((False, images), (True, labels)):
        for path in paths:
            archive = PictureArchive(path)
            archive.check_count(_NUM_PICTURES)
            for i, name in enumerate(archive.names):
                split = 'training' if i < _NUM_TRAINING else 'validation'
                tasks.append(PictureTask(archive, name, split, stem_of(name), is_label))
    return convert_pictures(tasks, out)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = CommandParser(description='Make images and labels of HRF from its six archives.')
    for group in _GROUPS:
        parser.add_argument(f'{group}_path', type=Path, help=f'{group}.zip')
        name = f'{group}_manualsegm'
        parser.add_argument(f'{name}_path', type=Path, help=f'{name}.zip')
    parser.add_argument('-o', '--out', type=Path, default='data/HRF', help='folder to write to')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert the data set."""
    args = parse_args(argv)
    images = [getattr(args, f'{group}_path') for group in _GROUPS]
    labels = [getattr(args, f'{group}_manualsegm_path') for group in _GROUPS]
    print(f'wrote to {args.out}: {convert_hrf(images, labels, args.out)}')
