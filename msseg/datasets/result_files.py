"""Names of results for a data set's samples, and label files that hold predictions."""

from __future__ import annotations

import io
import os.path as osp
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from msseg.datasets.file_lists import as_suffixes
from msseg.datasets.sample_rng import get_filename
from msseg.utils.atomic import atomic_path
from msseg.utils.outputs import Outputs, mark_png, unique_names


def sample_names(dataset: Any) -> list[str]:
    """Return a unique name for each sample's results: a path without suffix.

    Names start from the images' folder; of several joined data sets, from what their folders have
    in common. See `unique_names`.
    """
    folders = [getattr(leaf, 'img_dir', None) for leaf in _leaves(dataset)]
    files = [get_filename(dataset, index) for index in range(len(dataset))]
    return unique_names(files, [folder for folder in folders if folder is not None])


def input_files(dataset: Any) -> list[str]:
    """Return the image and label files of all samples, the label after its image.

    A data set that does not list its files gives none.
    """
    files = []
    for leaf in _leaves(dataset):
        images, labels = (getattr(leaf, name, None) or '' for name in ('img_dir', 'ann_dir'))
        for info in getattr(leaf, 'img_infos', None) or []:
            label = info.get('ann', {}).get('seg_map')
            files += [osp.join(images, info['filename'])] if 'filename' in info else []
            files += [osp.join(labels, label)] if label else []
    return files


def outputs_of(dataset: Any, *inputs: str | Path | None) -> Outputs:
    """Return `Outputs` that neither replace nor add to a data set's files, nor replace `inputs`."""
    return Outputs([*inputs, *input_files(dataset)], _searched_folders(dataset))


def write_label_file(
    file: Path, labels: np.ndarray, palette: np.ndarray | None = None, most: int = 0
) -> None:
    """Write a label map as PNG, whole or not at all, of 16 bits where 8 do not hold the values.

    Args:
        file: Where to; its folder is made.
        labels: (h, w) whole numbers, 0 to 65535.
        palette: RGB colours of the values; None for grey.
        most: The largest value that labels of the same set may have: all have the same depth.

    Raises:
        ValueError: A value is negative, or more than 16 bits hold.
    """
    labels = np.asarray(labels)
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if low < 0 or high > np.iinfo(np.uint16).max:
        raise ValueError(f'{file}: label values {low} to {high}; a PNG holds 0 to 65535')
    image = Image.fromarray(labels.astype(np.uint8 if max(high, most) <= 255 else np.uint16))
    if palette is not None:
        image = image.convert('P')
        image.putpalette(palette.ravel().tolist())
    content = io.BytesIO()
    image.save(content, 'png')
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(file) as temporary:
        temporary.write_bytes(mark_png(content.getvalue()))


def _leaves(dataset: Any) -> list[Any]:
    """Return the data sets inside wrappers; one that is repeated comes as often."""
    if hasattr(dataset, 'datasets'):
        return [leaf for part in dataset.datasets for leaf in _leaves(part)]
    if hasattr(dataset, 'dataset'):
        return _leaves(dataset.dataset) * getattr(dataset, 'times', 1)
    return [dataset]


def _searched_folders(dataset: Any) -> list[tuple[str, tuple[str, ...]]]:
    """Return the folders all of whose images a data set takes, and what their names end with."""
    found = []
    for leaf in _leaves(dataset):
        folder, suffixes = (getattr(leaf, name, None) for name in ('img_dir', 'img_suffix'))
        if folder and suffixes and getattr(leaf, 'split', None) is None:
            found.append((folder, as_suffixes(suffixes)))
    return found
