"""Pictures of some images of an evaluation, for loggers."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from msseg.apis.results import load_shown
from msseg.apis.visualize import OverlayStyle, side_by_side
from msseg.datasets import CustomDataset
from msseg.datasets.eval_loader import EvalSample
from msseg.datasets.result_files import sample_names
from msseg.utils.display import as_bgr
from msseg.utils.dist import get_rank, get_world_size
from msseg.utils.logging import warn_once
from msseg.utils.user_code import RUN_ERRORS, describe_failure

_LONGEST = 400  # pixels of a picture's side


class EvaluationPictures:
    """Draw image, label and prediction side by side; a handler for `predict_all`.

    The images are spread evenly over those that rank 0 evaluates, and are always the same ones.

    Args:
        dataset: The images, with labels.
        count: Returns how many images to draw.

    Attributes:
        pictures: RGB uint8 (h, w, 3) by the image's name, of the newest evaluation.
    """

    def __init__(self, dataset: CustomDataset, count: Callable[[], int]) -> None:
        self._dataset, self._count = dataset, count
        self._names: list[str] = []
        self.pictures: dict[str, np.ndarray] = {}

    def add(self, sample: EvalSample, labels: np.ndarray) -> None:
        """Draw a sample, if it is one of the chosen."""
        chosen = choose(range(0, len(self._dataset), get_world_size()), self._count())
        if get_rank() != 0 or sample.index not in chosen:
            return
        if sample.index == chosen[0]:  # an evaluation begins
            self.pictures.clear()
        try:
            self._names = self._names or sample_names(self._dataset)
            self.pictures[self._names[sample.index]] = self._draw(sample, labels)
        except (*RUN_ERRORS, KeyError, TypeError, ValueError, OSError) as error:
            # of a data set of the user's, whose images need not be files
            warn_once(f'loggers get no picture of some images of data.val{describe_failure(error)}')

    def _draw(self, sample: EvalSample, labels: np.ndarray) -> np.ndarray:
        style = OverlayStyle.of_dataset(self._dataset)
        image = as_bgr(load_shown(self._dataset, sample.index, sample.metas[0].get('filename')))
        factor = min(_LONGEST / max(image.shape[:2]), 1)
        size = tuple(max(round(length * factor), 1) for length in image.shape[1::-1])
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        panels = [('image', small)]
        for title, seen in (('label', sample.gt), ('prediction', labels)):
            seen = cv2.resize(seen.astype(np.int32), size, interpolation=cv2.INTER_NEAREST)
            panels.append((title, style.blend(small, seen)))
        return np.ascontiguousarray(side_by_side(panels)[..., ::-1])


def choose(indices: range, count: int) -> list[int]:
    """Return at most `count` of the indices, spread evenly, the first and the last among them.

    >>> choose(range(0, 100, 2), 3), choose(range(2), 5), choose(range(9), 1), choose(range(9), 0)
    ([0, 50, 98], [0, 1], [0], [])
    """
    count = min(count, len(indices))
    if count < 2:
        return list(indices[:count])
    step = (len(indices) - 1) / (count - 1)
    return [indices[int(number * step + 0.5)] for number in range(count)]
