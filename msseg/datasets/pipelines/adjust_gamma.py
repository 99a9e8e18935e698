"""Correct the gamma of images."""

from __future__ import annotations

import cv2
import numpy as np

from msseg.datasets.pipelines.image_ops import check_byte_scale
from msseg.datasets.pipelines.transform import register_transform
from msseg.utils.arguments import Positive


@register_transform
class AdjustGamma:
    """Correct the image by a fixed gamma.

    Reads: img (0 to 255). Writes: img (same dtype).

    Args:
        gamma: Above 1 brightens, below darkens.

    Source: MMSegmentation 0.30 ``AdjustGamma``.
    """

    gamma: Positive = 1.0

    def __post_init__(self) -> None:
        self._table = ((np.arange(256) / 255.0) ** (1.0 / self.gamma) * 255).astype(np.uint8)

    def __call__(self, results: dict) -> dict:
        img = results['img']
        check_byte_scale(img, 'AdjustGamma')
        if img.dtype == np.uint8:
            results['img'] = cv2.LUT(img, self._table)
        else:
            results['img'] = (img / 255.0) ** (1.0 / self.gamma) * 255.0
        return results
