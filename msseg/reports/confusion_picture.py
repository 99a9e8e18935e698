"""Draw the confusion matrix of saved label maps."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from msseg.apis.fonts import drawable_names, fonts_for
from msseg.apis.results import archive_names
from msseg.apis.visualize import write_figure
from msseg.datasets import CustomDataset, check_labels
from msseg.datasets.result_files import outputs_of
from msseg.evaluation import confusion_matrix
from msseg.reports.page import MOST_NUMBERS, row_shares
from msseg.utils.progress_bar import progress_bar

_UNKNOWN = '0.93'  # grey


def check_out(out: str | Path, dataset: CustomDataset, *inputs: str | Path) -> None:
    """Raise ValueError or OSError when the picture would replace a folder or an input."""
    outputs_of(dataset, *inputs).file(out, '--out', '.png')


def count_confusions(dataset: CustomDataset, archive: str | Path) -> np.ndarray:
    """Compare label maps with a data set's labels.

    Args:
        dataset: With labels.
        archive: What ``msseg test --out FILE.npz`` wrote.

    Returns:
        int64 (K, K), rows are labels, columns predictions.

    Raises:
        FileNotFoundError: There is no such file, or an image has no label.
        ValueError: It is not such a file, or lacks images.
    """
    check_labels(dataset)
    count = len(dataset.CLASSES)
    matrix = np.zeros((count, count), np.int64)
    try:
        maps = np.load(archive)
        names = set(maps.files)
    except (ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(
            f'{archive}: this is no archive of label maps: give what msseg test --out wrote'
        ) from error
    with maps:
        wanted = archive_names(dataset)
        missing = [index for index, name in enumerate(wanted) if name not in names]
        if missing:
            filename = dataset.img_infos[missing[0]]['filename']
            raise ValueError(
                f'{archive} has no label map of {filename!r}: it is of other images than data.test '
                'of the config, or an older version wrote it: write it again (msseg test --out)'
            )
        for index, name in enumerate(progress_bar(wanted, unit='img')):
            label = dataset.get_gt_seg_map(index)
            matrix += confusion_matrix(maps[name], label, count, dataset.ignore_index)
    return matrix


def draw_confusion(
    matrix: np.ndarray,
    classes: Sequence[str],
    out: str | Path,
    title: str = 'Confusion: percent of the pixels labelled as a class',
    colours: str = 'Blues',
) -> None:
    """Draw a confusion matrix, each row as shares of its sum; n/a for rows without counts.

    Args:
        matrix: (K, K), rows are labels.
        classes: The K names.
        out: The PNG to write.
        title: Above it.
        colours: One of matplotlib's colour maps.

    Raises:
        ValueError: An unknown colour map.
    """
    if colours not in matplotlib.colormaps:
        raise ValueError(f"colours is {colours!r}, expected one of matplotlib's, such as 'Blues'")
    names = drawable_names(classes)
    with fonts_for([*names, title]):
        figure = _figure(row_shares(matrix), names, title, colours)
        write_figure(out, figure)


def _figure(shares: np.ndarray, classes: Sequence[str], title: str, colours: str) -> Figure:
    count = len(classes)
    has_numbers = count <= MOST_NUMBERS
    side = 3 + count * (0.5 if has_numbers else 0.12)
    figure = Figure(figsize=(max(side + 1, 6), side), layout='constrained')
    axes = figure.add_subplot()
    colour_map = matplotlib.colormaps[colours].with_extremes(bad=_UNKNOWN)
    image = axes.imshow(100 * shares, cmap=colour_map, vmin=0, vmax=100)
    figure.colorbar(image, ax=axes, shrink=0.8, label='%')
    size = 9 if has_numbers else 6
    axes.set_xticks(range(count), classes, rotation=90, fontsize=size)
    axes.set_yticks(range(count), classes, fontsize=size)
    axes.set(xlabel='prediction', ylabel='label')
    figure.suptitle(title, wrap=True)
    if has_numbers:
        for i in range(count):
            for j in range(count):
                is_known = not math.isnan(shares[i, j])
                text = f'{100 * shares[i, j]:.1f}' if is_known else 'n/a'
                ink = 'white' if shares[i, j] > 0.5 else 'black' if is_known else 'grey'
                axes.text(j, i, text, ha='center', va='center', color=ink, fontsize=8)
    return figure
