"""Image, ground truth and prediction side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from msseg.apis.results import load_shown
from msseg.apis.visualize import OverlayStyle, side_by_side, write_image
from msseg.datasets import CustomDataset
from msseg.datasets.eval_loader import EvalSample
from msseg.datasets.result_files import outputs_of, sample_names


class Comparisons:
    """Write image, truth and prediction side by side; a handler for `predict_all`.

    Args:
        folder: Where to; pictures are named after the images.
        dataset: For the palette.
        opacity: Of the labels.
        limit: Writes no more pictures than this, the first ones; None is all.
    """

    def __init__(
        self, folder: Path, dataset: CustomDataset, opacity: float = 0.5, limit: int | None = None
    ) -> None:
        self.dataset = dataset
        names = [f'{name}.png' for name in sample_names(dataset)]
        self.paths = outputs_of(dataset).files(folder, names, str(folder))
        self.style = OverlayStyle.of_dataset(dataset, opacity=opacity)
        self.limit = limit
        self.written: list[Path] = []

    def add(self, sample: EvalSample, labels: np.ndarray) -> None:
        """Write one picture."""
        if self.limit is not None and len(self.written) >= self.limit:
            return
        image = load_shown(self.dataset, sample.index)
        panels = [('image', image)]
        for title, seen in (('truth', sample.gt), ('prediction', labels)):
            panels.append((title, self.style.blend(image, seen)))
        path = self.paths[sample.index]
        write_image(path, side_by_side(panels))
        self.written.append(path)
