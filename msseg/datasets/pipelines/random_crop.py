"""Crop images and labels at random."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from msseg.datasets.pipelines.transform import RandomSource, get_rng, register_transform
from msseg.utils.arguments import Int32, Probability, Size

Box = tuple[int, int, int, int]  # y1, y2, x1, x2

_MOST_TRIES = 10


@register_transform
class RandomCrop:
    """Cut out a random part of image and label.

    With `cat_max_ratio` below 1, up to 10 parts are tried until one has at least two classes and
    none of them covers that share of the valid pixels. An image smaller than the crop keeps its
    size.

    Reads: img, seg_fields and the labels they name, gt_semantic_seg, rng. Writes: img, the
    labels, img_shape.

    Args:
        crop_size: Size (h, w).
        cat_max_ratio: Largest share of one class.
        ignore_index: Label value that does not count.

    Source: MMSegmentation 0.30 ``RandomCrop``.

    Examples:
        >>> crop = RandomCrop(crop_size=(32, 48))
        >>> crop(dict(img=np.zeros((100, 200, 3)), rng=np.random.default_rng(0)))['img'].shape
        (32, 48, 3)
    """

    crop_size: Size
    cat_max_ratio: Probability = 1.0
    ignore_index: Int32 = 255

    def __call__(self, results: dict) -> dict:
        size = results['img'].shape[:2]
        box = self.choose_box(
            get_rng(results), size, lambda box: crop(results['gt_semantic_seg'], box)
        )
        for key in ('img', *results.get('seg_fields', [])):
            results[key] = crop(results[key], box)
        results['img_shape'] = results['img'].shape
        return results

    def choose_box(
        self, rng: RandomSource, size: tuple[int, int], label: Callable[[Box], np.ndarray]
    ) -> Box:
        """Draw a part of an image of size (h, w); `label` gives the label of a part."""
        box = self.sample_box(rng, size)
        if self.cat_max_ratio < 1:
            for _ in range(_MOST_TRIES):
                if self.is_varied(label(box)):
                    break
                box = self.sample_box(rng, size)
        return box

    def sample_box(self, rng: RandomSource, size: tuple[int, int]) -> Box:
        """Draw a part of an image of size (h, w)."""
        y = int(rng.integers(0, max(size[0] - self.crop_size[0], 0) + 1))
        x = int(rng.integers(0, max(size[1] - self.crop_size[1], 0) + 1))
        return y, y + self.crop_size[0], x, x + self.crop_size[1]

    def is_varied(self, label: np.ndarray) -> bool:
        """Whether a part has two classes and none above `cat_max_ratio`."""
        values, counts = _count_values(label)
        counts = counts[values != self.ignore_index]
        return len(counts) > 1 and bool(counts.max() / counts.sum() < self.cat_max_ratio)


def crop(img: np.ndarray, box: Box) -> np.ndarray:
    """Return a view of a part of an array."""
    y1, y2, x1, x2 = box
    return img[y1:y2, x1:x2]


def _count_values(label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of a label (uint8, int16 or int32), and how often each occurs."""
    if label.dtype == np.uint8 and label.size < 2**24:  # the histogram counts in float32
        counts = cv2.calcHist([label], [0], None, [256], [0, 256]).ravel().astype(np.int64)
        values = np.flatnonzero(counts)
        return values, counts[values]
    return np.unique(label, return_counts=True)
