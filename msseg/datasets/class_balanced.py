"""A data set whose images of rare classes come more often."""

from __future__ import annotations

import functools
import math
from typing import Annotated, Any

import numpy as np

from msseg.datasets.builder import DATASETS
from msseg.datasets.custom import check_labels
from msseg.datasets.dataset_wrappers import Wrapper
from msseg.utils.arguments import Range, checked
from msseg.utils.errors import UserValueError
from msseg.utils.logging import get_logger
from msseg.utils.progress_bar import progress_bar


@DATASETS.register_module()
class ClassBalancedDataset(Wrapper):
    """A data set for training that repeats the images of rare classes within an epoch.

    A class in a share f of the images has the factor ``max(1, sqrt(oversample_thr / f))``; an image
    comes as often as the largest factor of its classes, rounded up. The order of the epoch, the
    seed and the iteration decide what comes next, as without repetition, so a resumed run goes on
    with the same images. All labels are read when training starts; the log shows how often each
    class comes before and after.

    Args:
        dataset: A data set (or, in a config, its config).
        oversample_thr: The share of images below which a class is rare, above 0 to 1.

    Raises:
        ValueError: A data set for evaluation.

    Source: A. Gupta, P. Dollár, R. Girshick, "LVIS", 2019, repeat factor sampling; MMDetection 2
        ``ClassBalancedDataset``.

    Examples:
        >>> repeat_factors(np.array([[1, 0], [1, 0], [1, 0], [1, 1]], bool), 0.5)
        array([1.        , 1.        , 1.        , 1.41421356])
    """

    @checked
    def __init__(
        self, dataset: Any, oversample_thr: Annotated[float, Range(0, 1, above=True)]
    ) -> None:
        super().__init__(dataset)
        if self.test_mode:
            raise UserValueError(
                'it repeats images, which is for training only',
                advice='give the data set itself to data.val and data.test',
                who='ClassBalancedDataset',
            )
        self.dataset = dataset
        self.oversample_thr = oversample_thr

    @functools.cached_property
    def repeat_indices(self) -> list[int]:
        """The indices of the data set, each as often as it comes in an epoch."""
        presence = self._presence()
        factors = repeat_factors(presence, self.oversample_thr)
        indices = [i for i, factor in enumerate(factors) for _ in range(math.ceil(factor))]
        for line in frequencies(presence, indices, self.CLASSES):
            get_logger().info('ClassBalancedDataset: %s', line)
        return indices

    def _presence(self) -> np.ndarray:
        """Return which classes are in the label of each image, bool (images, classes)."""
        num_classes = len(self.CLASSES)
        presence = np.zeros((len(self.dataset), num_classes), bool)
        for i in progress_bar(range(len(self.dataset)), desc='labels'):
            values = np.unique(self.dataset.get_gt_seg_map(i))
            presence[i, values[(values != self.ignore_index) & (values < num_classes)]] = True
        return presence

    @property
    def img_infos(self) -> list[dict]:
        """The image infos, repeated."""
        infos = self.dataset.img_infos
        return [infos[i] for i in self.repeat_indices]

    def __len__(self) -> int:
        return len(self.repeat_indices)

    def _locate(self, index: int) -> tuple[Any, int]:
        return self.dataset, self.repeat_indices[self._position(index)]

    def check_labels(self) -> None:
        """Raise FileNotFoundError unless every image has its label file."""
        check_labels(self.dataset)


def repeat_factors(presence: np.ndarray, oversample_thr: float) -> np.ndarray:
    """Return how often each image should come, at least 1.

    Args:
        presence: Which classes are in which images, bool (images, classes).
        oversample_thr: See `ClassBalancedDataset`.

    Returns:
        float64 (images,).
    """
    share = presence.mean(axis=0)
    of_class = np.ones(len(share))
    np.sqrt(oversample_thr / share, out=of_class, where=share > 0)
    return np.where(presence, np.maximum(of_class, 1), 1).max(axis=1, initial=1)


def frequencies(presence: np.ndarray, indices: list[int], classes: list[str]) -> list[str]:
    """Return lines that show in which share of the images each class is, before and after.

    Examples:
        >>> frequencies(np.array([[0], [1]], bool), [0, 1, 1], ['car'])
        ['2 images come as 3 in an epoch', 'car: in 50.0 % of the images before, 66.7 %']
    """
    before, after = presence.mean(axis=0) * 100, presence[indices].mean(axis=0) * 100
    return [
        f'{len(presence)} images come as {len(indices)} in an epoch',
        *(
            f'{name}: in {old:.1f} % of the images before, {new:.1f} %'
            for name, old, new in zip(classes, before, after, strict=True)
        ),
    ]
