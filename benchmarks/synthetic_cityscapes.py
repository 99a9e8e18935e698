"""Writes a drawn data set in the shape of Cityscapes, for both layouts that are read here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks.synthetic import draw_street
from msseg.datasets.cityscapes import LABEL_ID_MAP
from msseg.utils.progress_bar import progress_bar

_CITIES = {'train': 'drawnburg', 'val': 'drawnstadt'}
_FIRST_SCENE = {'train': 0, 'val': 1_000_000}
_MIN_HEIGHT, _MIN_WIDTH = 64, 64


def write_synthetic_cityscapes(
    out: Path, num_train: int, num_val: int, height: int, width: int, seed: int
) -> None:
    """Draws streets and writes images, both label files and both lists.

    The same arguments write the same files, byte for byte.

    Args:
        out: Folder to write into; it must be missing or empty.
        num_train: Number of scenes in ``train``.
        num_val: Number of scenes in ``val``, none of which is in ``train``.
        height: Height of the images in pixels.
        width: Width of the images in pixels.
        seed: Another seed draws other scenes.

    Raises:
        ValueError: A count or a size is too small.
        FileExistsError: ``out`` holds files, which would mix with the new ones.
    """
    _check(out, num_train, num_val, height, width)
    for split, count in (('train', num_train), ('val', num_val)):
        scenes = _write_split(out, split, count, (height, width), seed)
        lines = list(progress_bar(scenes, count, desc=split))
        (out / f'{split}.lst').write_text(''.join(lines), encoding='utf-8')


def _check(out: Path, num_train: int, num_val: int, height: int, width: int) -> None:
    for name, got, least in (
        ('num_train', num_train, 1),
        ('num_val', num_val, 1),
        ('height', height, _MIN_HEIGHT),
        ('width', width, _MIN_WIDTH),
    ):
        if got < least:
            raise ValueError(f'{name} must be at least {least}, but got {got!r}')
    if out.exists() and any(out.iterdir()):
        raise FileExistsError(
            f'{out} is not empty, and old files would mix with new ones: '
            'name a new folder or empty this one'
        )


def _write_split(
    out: Path, split: str, count: int, size: tuple[int, int], seed: int
) -> Iterator[str]:
    """Writes one split's files and yields its lines for the list."""
    to_train_id = np.array([LABEL_ID_MAP[label_id] for label_id in range(256)], np.uint8)
    city = _CITIES[split]
    image_dir, label_dir = Path('leftImg8bit', split, city), Path('gtFine', split, city)
    for folder in (image_dir, label_dir):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        image, labels = draw_street(*size, seed, _FIRST_SCENE[split] + number)
        stem = f'{city}_{number:06d}_000019'
        image_file = image_dir / f'{stem}_leftImg8bit.png'
        label_file = label_dir / f'{stem}_gtFine_labelIds.png'
        _write_png(out / image_file, image[..., ::-1])
        _write_png(out / label_file, labels)
        _write_png(out / label_dir / f'{stem}_gtFine_labelTrainIds.png', to_train_id[labels])
        yield f'{image_file.as_posix()} {label_file.as_posix()}\n'


def _write_png(path: Path, pixels: np.ndarray) -> None:
    """Writes through Python's own open, whose errors name the file and the reason."""
    _, encoded = cv2.imencode('.png', pixels)
    path.write_bytes(encoded.tobytes())
