"""What the results for a data set's samples are called, what they must not replace, label files."""

from __future__ import annotations

import io
import os.path as osp
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from msseg.datasets.file_lists import as_suffixes
from msseg.datasets.sample_rng import get_filename
from msseg.utils.atomic import atomic_path
from msseg.utils.outputs import Outputs, mark_png, unique_names


def sample_names(dataset: Any) -> list[str]:
    """Return for each sample what its results are called: a path without suffix, like no other's.

    Args:
        dataset: A data set, or several joined: names start from the images' folder, of several
            from what these folders have in common. See `unique_names`.
    """
    return unique_names(
        [get_filename(dataset, index) for index in range(len(dataset))], _image_folders(dataset)
    )


def input_files(dataset: Any) -> list[str]:
    """Return the image and label files of all samples, the label after its image.

    Args:
        dataset: A data set; of one that does not list its files there are none.
    """
    if hasattr(dataset, 'datasets'):
        return [path for part in dataset.datasets for path in input_files(part)]
    if hasattr(dataset, 'dataset'):
        return input_files(dataset.dataset) * dataset.times
    images, labels = (getattr(dataset, name, None) or '' for name in ('img_dir', 'ann_dir'))
    files = []
    for info in getattr(dataset, 'img_infos', None) or []:
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


def _searched_folders(dataset: Any) -> list[tuple[str, tuple[str, ...]]]:
    """Return the folders all of whose images a data set takes, and what their names end with."""
    if hasattr(dataset, 'datasets'):
        return [found for part in dataset.datasets for found in _searched_folders(part)]
    if hasattr(dataset, 'dataset'):
        return _searched_folders(dataset.dataset)
    folder, suffixes = (getattr(dataset, name, None) for name in ('img_dir', 'img_suffix'))
    if not folder or not suffixes or getattr(dataset, 'split', None) is not None:
        return []
    return [(folder, as_suffixes(suffixes))]


def _image_folders(dataset: Any) -> Sequence[str]:
    if hasattr(dataset, 'datasets'):
        return [folder for part in dataset.datasets for folder in _image_folders(part)]
    if hasattr(dataset, 'dataset'):
        return _image_folders(dataset.dataset)
    folder = getattr(dataset, 'img_dir', None)
    return [] if folder is None else [folder]
