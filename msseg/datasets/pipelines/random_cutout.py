"""Fill random rectangles of images and labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from msseg.datasets.pipelines.image_ops import fillable
from msseg.datasets.pipelines.random_crop import Box
from msseg.datasets.pipelines.transform import RandomSource, get_rng, register_transform
from msseg.utils.arguments import (
    Int32,
    NonEmpty,
    Ordered,
    Probability,
    Range,
    Size,
    fits,
)

Holes = Annotated[int, Range(0, 10_000)]
Share = tuple[Probability, Probability]


@register_transform
class RandomCutOut:
    """Fill random rectangles with a constant.

    Reads: img, seg_fields and the labels they name, num_classes, ignore_index, rng. Writes: img,
    the labels.

    Args:
        prob: Probability.
        n_holes: Number of rectangles, or (fewest, most).
        cutout_shape: Size (w, h) of a rectangle, or a list to choose from.
        cutout_ratio: Size as shares (w, h) of the image, or a list to choose from. Give one of
            `cutout_shape` and `cutout_ratio`.
        fill_in: What to fill the image with: one number for all channels, or one for each.
        seg_fill_in: Value for the label, a class or ignore_index; None leaves the label as it is.

    Source: "Improved regularization of convolutional neural networks with cutout" (DeVries and
        Taylor, 2017); MMSegmentation 0.30 ``RandomCutOut``.
    """

    prob: Probability
    n_holes: Holes | Annotated[tuple[Holes, Holes], Ordered(strictly=True)]
    cutout_shape: Size | NonEmpty[Size] | None = None
    cutout_ratio: Share | NonEmpty[Share] | None = None
    fill_in: float | Sequence[float] = 0
    seg_fill_in: Int32 | None = None

    def __post_init__(self) -> None:
        if (self.cutout_shape is None) == (self.cutout_ratio is None):
            raise ValueError('RandomCutOut: give exactly one of cutout_shape and cutout_ratio')
        candidates = self.cutout_shape if self.cutout_ratio is None else self.cutout_ratio
        is_one = fits(candidates, tuple[float, float])
        self.candidates = [candidates] if is_one else list(candidates)
        if isinstance(self.n_holes, int):
            self.n_holes = (self.n_holes, self.n_holes)

    def __call__(self, results: dict) -> dict:
        boxes = self._sample_boxes(get_rng(results), results['img'].shape[:2])
        if not boxes:
            return results
        img = results['img']
        channels = 1 if img.ndim == 2 else img.shape[2]
        if isinstance(self.fill_in, Sequence) and len(self.fill_in) not in (1, channels):
            raise ValueError(
                f'RandomCutOut: fill_in={self.fill_in!r}, but the image has {channels} channels; '
                'give one number, or one for each channel'
            )
        results['img'] = _filled(img, boxes, self.fill_in)
        if self.seg_fill_in is not None:
            for key in results.get('seg_fields', []):
                label = fillable(
                    results[key], self.seg_fill_in, results, 'RandomCutOut: seg_fill_in'
                )
                results[key] = _filled(label, boxes, self.seg_fill_in)
        return results

    def _sample_boxes(self, rng: RandomSource, size: tuple[int, int]) -> list[Box]:
        if not rng.random() < self.prob:
            return []
        h, w = size
        boxes = []
        for _ in range(int(rng.integers(self.n_holes[0], self.n_holes[1] + 1))):
            x, y = int(rng.integers(0, w)), int(rng.integers(0, h))
            hole_w, hole_h = self.candidates[int(rng.integers(0, len(self.candidates)))]
            if self.cutout_ratio is not None:
                hole_w, hole_h = int(hole_w * w), int(hole_h * h)
            boxes.append((y, min(y + hole_h, h), x, min(x + hole_w, w)))
        return boxes


def _filled(img: np.ndarray, boxes: list[Box], value: float | Sequence[float]) -> np.ndarray:
    img = img.copy()  # the array may be a view of what the caller still uses
    for y1, y2, x1, x2 in boxes:
        img[y1:y2, x1:x2] = value
    return img
