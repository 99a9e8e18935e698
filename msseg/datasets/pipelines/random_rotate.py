"""Rotate images and labels at random."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from msseg.datasets.pipelines.image_ops import INTERPOLATIONS, fillable, with_border
from msseg.datasets.pipelines.transform import RandomSource, get_rng, register_transform
from msseg.utils.arguments import Int32, NonEmpty, Positive, Probability


@register_transform
class RandomRotate:
    """Rotate image and label with a probability.

    Reads: img, seg_fields and the labels they name, num_classes, ignore_index, rng. Writes: img,
    the labels.

    Args:
        prob: Probability.
        degree: Range (smallest, largest) of the clockwise angle in degrees; a number d above 0
            stands for (-d, d).
        pad_val: Value outside the image: one number for all channels, or one for each.
        seg_pad_val: Value outside the label.
        center: Centre (x, y); the image's own by default.
        auto_bound: Enlarge the result to hold the whole rotated image.

    Source: MMSegmentation 0.30 ``RandomRotate``.
    """

    prob: Probability
    degree: Positive | tuple[float, float]
    pad_val: float | NonEmpty[float] = 0
    seg_pad_val: Int32 = 255
    center: tuple[float, float] | None = None
    auto_bound: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.degree, (int, float)):
            self.degree = (-self.degree, self.degree)
        if self.center is not None and self.auto_bound:
            raise ValueError('RandomRotate: auto_bound=True conflicts with center; give one')

    def __call__(self, results: dict) -> dict:
        angle = self._sample_angle(get_rng(results))
        if angle is None:
            return results
        results['img'] = self._rotate(results['img'], angle, self.pad_val, 'bilinear')
        for key in results.get('seg_fields', []):
            label = fillable(results[key], self.seg_pad_val, results, 'RandomRotate: seg_pad_val')
            results[key] = self._rotate(label, angle, self.seg_pad_val, 'nearest')
        return results

    def _sample_angle(self, rng: RandomSource) -> float | None:
        chosen = rng.random() < self.prob
        angle = rng.uniform(min(self.degree), max(self.degree))  # drawn in either case
        return angle if chosen else None

    def _rotate(
        self, img: np.ndarray, angle: float, fill: float | Sequence[float], interpolation: str
    ) -> np.ndarray:
        """Rotate clockwise by degrees, as ``mmcv.imrotate``."""
        h, w = img.shape[:2]
        center = self.center or ((w - 1) * 0.5, (h - 1) * 0.5)
        matrix = cv2.getRotationMatrix2D(tuple(center), -angle, 1.0)
        if self.auto_bound:
            cos, sin = abs(matrix[0, 0]), abs(matrix[0, 1])
            new_w, new_h = h * sin + w * cos, h * cos + w * sin
            matrix[0, 2] += (new_w - w) * 0.5
            matrix[1, 2] += (new_h - h) * 0.5
            w, h = int(np.round(new_w)), int(np.round(new_h))
        # OpenCV warps no int32; float64 holds its values exactly
        source = img.astype(np.float64) if img.dtype == np.int32 else img
        flags = INTERPOLATIONS[interpolation]
        rotate = lambda part, value: cv2.warpAffine(  # noqa: E731
            part, matrix, (w, h), flags=flags, borderValue=value
        )
        rotated = with_border(source, fill, rotate, 'RandomRotate: pad_val')
        return rotated.astype(img.dtype, copy=False)
