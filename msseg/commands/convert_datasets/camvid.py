"""Make images and labels of 11 classes from a CamVid download.

Example:
    msseg convert-dataset camvid downloads/CamVid --out data/camvid
"""

from __future__ import annotations

import argparse
import filecmp
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from msseg.datasets.camvid import CamVidDataset
from msseg.datasets.pipelines.label_file import read_label
from msseg.datasets.result_files import write_label_file
from msseg.utils.atomic import atomic_path
from msseg.utils.cli import CommandParser
from msseg.utils.outputs import Outputs
from msseg.utils.progress_bar import progress_bar

IGNORED = 255
SPLITS = ('train', 'val', 'test')

# The 32 original classes with their colours, by the class that each belongs to.
GROUPS = {
    'sky': {'Sky': (128, 128, 128)},
    'building': {
        'Building': (128, 0, 0), 'Archway': (192, 0, 128), 'Bridge': (0, 128, 64),
        'Tunnel': (64, 0, 64), 'Wall': (64, 192, 0),
    },
    'pole': {'Column_Pole': (192, 192, 128), 'TrafficCone': (0, 0, 64)},
    'road': {
        'Road': (128, 64, 128), 'LaneMkgsDriv': (128, 0, 192), 'LaneMkgsNonDriv': (192, 0, 64),
    },
    'pavement': {
        'Sidewalk': (0, 0, 192), 'ParkingBlock': (64, 192, 128), 'RoadShoulder': (128, 128, 192),
    },
    'tree': {'Tree': (128, 128, 0), 'VegetationMisc': (192, 192, 0)},
    'sign': {
        'SignSymbol': (192, 128, 128), 'Misc_Text': (128, 128, 64), 'TrafficLight': (0, 64, 64),
    },
    'fence': {'Fence': (64, 64, 128)},
    'car': {
        'Car': (64, 0, 128), 'SUVPickupTruck': (64, 128, 192), 'Truck_Bus': (192, 128, 192),
        'Train': (192, 64, 128), 'OtherMoving': (128, 64, 64),
    },
    'pedestrian': {
        'Pedestrian': (64, 64, 0), 'Child': (192, 128, 64), 'CartLuggagePram': (64, 0, 192),
        'Animal': (64, 128, 64),
    },
    'bicyclist': {'Bicyclist': (0, 128, 192), 'MotorcycleScooter': (192, 0, 192)},
}  # fmt: skip
COLOUR_MAP = {
    (0, 0, 0): IGNORED,  # Void
    **{
        colour: CamVidDataset.CLASSES.index(group)
        for group, members in GROUPS.items()
        for colour in members.values()
    },
}
# The SegNet tutorial's files hold the 11 classes in the same order, and 11 for all others.
INDEX_MAP = {11: IGNORED}

# The usual split is by sequence and frame number.
_FRAME = re.compile(r'(?P<sequence>0001TP|0006R0|0016E5|Seq05VD)_f?(?P<number>\d+)')
_LAST_TRAIN_0001TP = 8520
_VAL_0016E5 = range(7959, 8161)


class Frame(NamedTuple):
    """An image with its label.

    Attributes:
        split: ``train``, ``val`` or ``test``.
        image: The image's file.
        label: The label's file.
    """

    split: str
    image: Path
    label: Path


def convert_camvid(root: Path, out: Path) -> dict[str, int]:
    """Write ``images/SPLIT/NAME.png`` and ``annotations/SPLIT/NAME.png``.

    Three layouts are known: the SegNet tutorial's ``train``, ``trainannot``, … with indices;
    ``train``, ``train_labels``, … with colours; and the original download, unpacked anywhere
    below `root`, with labels called ``NAME_L.png`` and split as usual: 367, 101 and 233 frames.

    Args:
        root: Folder of the download.
        out: Folder to write to.

    Returns:
        Number of frames in each split.

    Raises:
        FileNotFoundError: No labels, or an image is missing.
        ValueError: A label has other values or colours, or a frame is of no known sequence.
    """
    if not root.is_dir():
        raise FileNotFoundError(f'{root}: there is no such folder')
    frames = list(find_frames(root))
    if not frames:
        raise FileNotFoundError(
            f'{root}: there are no CamVid labels in it: neither train and trainannot, nor train '
            'and train_labels, nor files called NAME_L.png'
        )
    images, labels = _plan(frames, out)
    counts = dict.fromkeys(SPLITS, 0)
    for frame, image, label in progress_bar(list(zip(frames, images, labels, strict=True))):
        _convert_frame(frame, image, label)
        counts[frame.split] += 1
    return {split: count for split, count in counts.items() if count}


def find_frames(root: Path) -> Iterator[Frame]:
    """Yield the frames of whichever layout a folder has."""
    folders = [
        (split, root / split, root / f'{split}{suffix}')
        for split in SPLITS
        for suffix in ('annot', '_labels')
        if (root / f'{split}{suffix}').is_dir()
    ]
    if folders:
        for split, images, labels in folders:
            for label in sorted(labels.glob('*.png')):
                yield Frame(split, _image_of(label, images), label)
        return
    images = {p.stem: p for p in root.rglob('*.png') if not p.stem.endswith('_L')}
    for label in sorted(root.rglob('*_L.png')):
        stem = label.stem.removesuffix('_L')
        if stem not in images:
            raise FileNotFoundError(f'{label} has no image: there is no {stem}.png below {root}')
        yield Frame(usual_split(stem), images[stem], label)


def usual_split(name: str) -> str:
    """Return the split that a frame of the original download is usually in.

    Raises:
        ValueError: The name is of no known sequence.
    """
    found = _FRAME.fullmatch(name)
    if not found:
        raise ValueError(
            f'{name!r} is of none of the sequences 0001TP, 0006R0, 0016E5 and Seq05VD; sort the '
            'files into train, train_labels, val, val_labels, test and test_labels'
        )
    sequence, number = found['sequence'], int(found['number'])
    if sequence == 'Seq05VD' or (sequence == '0001TP' and number > _LAST_TRAIN_0001TP):
        return 'test'
    return 'val' if sequence == '0016E5' and number in _VAL_0016E5 else 'train'


def _image_of(label: Path, images: Path) -> Path:
    stem = label.stem.removesuffix('_L')
    for suffix in ('.png', '.jpg'):
        image = images / (stem + suffix)
        if image.is_file():
            return image
    raise FileNotFoundError(f'{label} has no image: there is no {images / stem}.png')


def _plan(frames: Sequence[Frame], out: Path) -> tuple[list[Path], list[Path]]:
    """Return where each frame's image and label go; nothing of the user's is replaced."""
    outputs = Outputs(path for frame in frames for path in (frame.image, frame.label))
    names = [f'images/{frame.split}/{frame.image.name}' for frame in frames]
    # copies bear no mark: what is there already must be the same
    same = [
        (out / name).is_file()
        and filecmp.cmp(out / name, frame.image, shallow=False)
        and not (out / name).samefile(frame.image)
        for name, frame in zip(names, frames, strict=True)
    ]
    new = [name for name, is_there in zip(names, same, strict=True) if not is_there]
    outputs.files(out, new, '--out')
    labels = [f'annotations/{frame.split}/{frame.image.stem}.png' for frame in frames]
    return [out / name for name in names], outputs.files(out, labels, '--out')


def _convert_frame(frame: Frame, image: Path, label: Path) -> None:
    values = _read_frame_label(frame.label)
    image.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(image) as temporary:
        shutil.copyfile(frame.image, temporary)
    write_label_file(label, values)


def _read_frame_label(file: Path) -> np.ndarray:
    with Image.open(file) as img:
        if img.mode == 'RGB':
            return read_label(file, COLOUR_MAP)
    label = read_label(file, INDEX_MAP)
    wrong = sorted(set(np.unique(label).tolist()) - {*range(len(CamVidDataset.CLASSES)), IGNORED})
    if wrong:
        raise ValueError(
            f'{file}: label values {wrong}; expected 0 to 11, as the SegNet tutorial has'
        )
    return label


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = CommandParser(
        description='Make images/SPLIT and annotations/SPLIT with 11 classes (255: none of them) '
        'from a CamVid download: the original one, or the SegNet tutorial copy of it.'
    )
    parser.add_argument('camvid_path', type=Path, help='folder of the download, unpacked')
    parser.add_argument('--out', type=Path, required=True, help='folder to write to')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert the data set."""
    args = parse_args(argv)
    counts = convert_camvid(args.camvid_path, args.out)
    print(f'wrote to {args.out}: {counts}')
