"""Cropping at random."""

from __future__ import annotations

import numpy as np

from msseg.datasets.builder import PIPELINES
from msseg.datasets.pipelines.image_ops import count_values
from msseg.datasets.pipelines.random_source import RandomSource, get_rng
from msseg.utils.arguments import Int32, Probability, Size, checked

Box = tuple[int, int, int, int]  # y1, y2, x1, x2

_MOST_TRIES = 10


@PIPELINES.register_module()
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
    """

    @checked
    def __init__(
        self, crop_size: Size, cat_max_ratio: Probability = 1.0, ignore_index: Int32 = 255
    ) -> None:
        self.crop_size = tuple(crop_size)
        self.cat_max_ratio = cat_max_ratio
        self.ignore_index = ignore_index

    def __call__(self, results: dict) -> dict:
        size = results['img'].shape[:2]
        rng = get_rng(results)
        box = self.sample_box(rng, size)
        if self.cat_max_ratio < 1:
            label = results['gt_semantic_seg']
            for _ in range(_MOST_TRIES):
                if self.is_varied(crop(label, box)):
                    break
                box = self.sample_box(rng, size)
        results['img'] = crop(results['img'], box)
        results['img_shape'] = results['img'].shape
        for key in results.get('seg_fields', []):
            results[key] = crop(results[key], box)
        return results

    def sample_box(self, rng: RandomSource, size: tuple[int, int]) -> Box:
        """Draw a part of an image of size (h, w)."""
        y = int(rng.integers(0, max(size[0] - self.crop_size[0], 0) + 1))
        x = int(rng.integers(0, max(size[1] - self.crop_size[1], 0) + 1))
        return y, y + self.crop_size[0], x, x + self.crop_size[1]

    def is_varied(self, label: np.ndarray) -> bool:
        """Tell whether a part has two classes and none above `cat_max_ratio`."""
        values, counts = count_values(label)
        counts = counts[values != self.ignore_index]
        return len(counts) > 1 and bool(counts.max() / counts.sum() < self.cat_max_ratio)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(crop_size={self.crop_size}, '
            f'cat_max_ratio={self.cat_max_ratio}, ignore_index={self.ignore_index})'
        )


def crop(img: np.ndarray, box: Box) -> np.ndarray:
    """Return a view of a part of an array."""
    y1, y2, x1, x2 = box
    return img[y1:y2, x1:x2]
