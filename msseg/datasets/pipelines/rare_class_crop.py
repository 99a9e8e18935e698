"""Crop images and labels where rare classes are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from msseg.datasets.pipelines.random_crop import Box, RandomCrop
from msseg.datasets.pipelines.transform import RandomSource, register_transform
from msseg.utils.arguments import Int32, NonNegativeInt, Probability, Size


@register_transform
class RareClassCrop(RandomCrop):
    """Cut out a part of image and label that has a pixel of a rare class.

    With probability `prob`, and if the label has any of the classes, one of those that it has is
    drawn (each is as likely), then one of its pixels, then a part that holds it. Otherwise it is
    `RandomCrop`. It draws from ``results['rng']`` alone: the part is a function of seed, epoch and
    index.

    Reads: img, seg_fields and the labels they name, gt_semantic_seg, rng. Writes: img, the
    labels, img_shape.

    Args:
        crop_size: Size (h, w).
        cat_max_ratio: Largest share of one class, of other parts.
        ignore_index: Label value that does not count.
        classes: Indices of the rare classes; all classes if empty, so that small ones gain.
        prob: Probability.

    Examples:
        >>> label = np.zeros((100, 200), np.uint8)
        >>> label[70, 150] = 3
        >>> crop = RareClassCrop(crop_size=(32, 48), classes=[3], prob=1.0)
        >>> results = dict(img=label, gt_semantic_seg=label, seg_fields=['gt_semantic_seg'])
        >>> crop({**results, 'rng': np.random.default_rng(0)})['gt_semantic_seg'].max()
        3
    """

    crop_size: Size  # the first three as RandomCrop has them
    cat_max_ratio: Probability = 1.0
    ignore_index: Int32 = 255
    classes: Sequence[NonNegativeInt] = ()
    prob: Probability = 0.5

    def choose_box(
        self, rng: RandomSource, size: tuple[int, int], label: Callable[[Box], np.ndarray]
    ) -> Box:
        """Draw a part of an image of size (h, w); `label` gives the label of a part."""
        if rng.random() < self.prob:
            whole = label((0, size[0], 0, size[1]))
            present = [
                value
                for value in np.unique(whole).tolist()
                if value != self.ignore_index and (not self.classes or value in self.classes)
            ]
            if present:
                pixels = np.argwhere(whole == present[rng.integers(0, len(present))])
                return self._around(rng, pixels[rng.integers(0, len(pixels))].tolist(), size)
        return super().choose_box(rng, size, label)

    def _around(self, rng: RandomSource, pixel: Sequence[int], size: tuple[int, int]) -> Box:
        """Draw a part that holds a pixel (y, x)."""
        starts = []
        for at, crop, side in zip(pixel, self.crop_size, size, strict=True):
            last = max(side - crop, 0)
            starts.append(int(rng.integers(max(at - crop + 1, 0), min(at, last) + 1)))
        y, x = starts
        return y, y + self.crop_size[0], x, x + self.crop_size[1]
