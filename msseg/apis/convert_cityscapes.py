"""Cityscapes' labelIds to labelTrainIds, and the lists of its splits."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from msseg.datasets.cityscapes import LABEL_ID_MAP
from msseg.datasets.pipelines.label_file import read_label
from msseg.utils.atomic import atomic_path, atomic_write_text
from msseg.utils.progress_bar import progress_bar

_LABEL_IDS = '_labelIds.png'
_TRAIN_IDS = '_labelTrainIds.png'
_SPLITS = ('train', 'val', 'test')


def convert_cityscapes(
    root: Path, gt_dir: str = 'gtFine', out_dir: Path | None = None, num_processes: int = 1
) -> dict[str, int]:
    """Write a labelTrainIds file for each labelIds file, and ``train.txt``, ``val.txt``, ….

    Args:
        root: The Cityscapes folder.
        gt_dir: Folder of the labels in it: ``gtFine`` or ``gtCoarse``.
        out_dir: Where to write; beside the labelIds, and the lists in `root`, by default.
        num_processes: Number of files converted at a time.

    Returns:
        Number of labels converted in each split.

    Raises:
        FileNotFoundError: The folder, or every labelIds file, is missing.
        ValueError: A file is no label of one channel; the message names it.
    """
    labels = root / gt_dir
    if not labels.is_dir():
        raise FileNotFoundError(
            f'{labels}: there is no such folder; give the Cityscapes folder, which holds '
            f'leftImg8bit and {gt_dir}'
        )
    files = sorted(labels.rglob(f'*{_LABEL_IDS}'))
    if not files:
        raise FileNotFoundError(
            f'{labels}: there is no *{_LABEL_IDS} in it; unpack {gt_dir}_trainvaltest.zip there'
        )
    out = root if out_dir is None else out_dir
    convert = partial(_convert_file, root=root, out=out)
    if num_processes > 1:
        with ProcessPoolExecutor(num_processes) as pool:
            list(progress_bar(pool.map(convert, files, chunksize=8), len(files)))
    else:
        for file in progress_bar(files):
            convert(file)
    return {split: n for split in _SPLITS if (n := _write_split(labels, files, split, gt_dir, out))}


def _convert_file(file: Path, root: Path, out: Path) -> None:
    label = read_label(file, LABEL_ID_MAP)
    name = file.name.removesuffix(_LABEL_IDS) + _TRAIN_IDS
    target = out / file.parent.relative_to(root) / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as temporary:
        temporary.write_bytes(cv2.imencode('.png', label.astype(np.uint8))[1].tobytes())


def _write_split(labels: Path, files: list[Path], split: str, gt_dir: str, out: Path) -> int:
    folder = labels / split
    names = [
        file.relative_to(folder).as_posix().removesuffix(f'_{gt_dir}{_LABEL_IDS}')
        for file in files
        if folder in file.parents
    ]
    if names:
        atomic_write_text(out / f'{split}.txt', '\n'.join(names) + '\n')
    return len(names)
