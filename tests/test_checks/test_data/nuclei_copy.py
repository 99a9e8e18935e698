"""A copy of a part of the demo's nuclei, to plant faults in."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from msseg.config import Config

NUCLEI = Path(__file__).parents[3] / 'demo' / 'nuclei'
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Normalize', mean=[0] * 3, std=[1] * 3),
]


def copy_nuclei(root: Path, **counts: int | None) -> Path:
    """Copy the first so many grey and as many coloured images of each split, None for all."""
    for split in ('train', 'val'):
        for kind in ('images', 'annotations'):
            (root / kind / split).mkdir(parents=True)
        taken = {'L': 0, 'RGB': 0}
        for image in sorted((NUCLEI / 'images' / split).iterdir()):
            mode = Image.open(image).mode
            limit = counts.get(split)
            if limit is None or taken[mode] < limit:
                taken[mode] += 1
                label = f'{image.stem}.png'
                shutil.copyfile(image, root / 'images' / split / image.name)
                source = NUCLEI / 'annotations' / split / label
                shutil.copyfile(source, root / 'annotations' / split / label)
    return root


def nuclei_config(root: Path, **changes: object) -> Config:
    """Return the config of such a copy; `changes` hold for each split."""
    shared = dict(type='NucleiDataset', data_root=str(root), pipeline=PIPELINE, **changes)
    parts = {
        split: dict(img_dir=f'images/{split}', ann_dir=f'annotations/{split}', **shared)
        for split in ('train', 'val')
    }
    return Config(dict(data=dict(train=parts['train'], val=parts['val'], test=parts['val'])))


class Pair:
    """One image of a split and its label, to be spoilt."""

    def __init__(self, root: Path, split: str = 'train', mode: str = 'RGB', index: int = 0) -> None:
        images = sorted((root / 'images' / split).iterdir())
        self.image = [image for image in images if Image.open(image).mode == mode][index]
        self.label = root / 'annotations' / split / f'{self.image.stem}.png'

    @property
    def values(self) -> np.ndarray:
        """The label's values."""
        return np.array(Image.open(self.label))

    @values.setter
    def values(self, values: np.ndarray) -> None:
        Image.fromarray(values).save(self.label)


def all_pairs(root: Path, split: str = 'train') -> list[Pair]:
    """Return all pairs of a split."""
    modes = [Image.open(i).mode for i in sorted((root / 'images' / split).iterdir())]
    return [
        Pair(root, split, mode, index) for mode in sorted(set(modes))
        for index in range(modes.count(mode))
    ]  # fmt: skip


def cut(path: Path) -> None:
    """Take the second half of a file away."""
    os.truncate(path, path.stat().st_size // 2)
