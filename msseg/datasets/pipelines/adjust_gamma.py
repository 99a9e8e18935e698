"""Gamma correction."""

from __future__ import annotations

import cv2
import numpy as np

from msseg.datasets.builder import PIPELINES
from msseg.datasets.pipelines.image_ops import check_byte_scale
from msseg.datasets.pipelines.transform import Transform
from msseg.utils.arguments import Positive, checked


@PIPELINES.register_module()
class AdjustGamma(Transform):
    """Correct the image by a fixed gamma.

    Reads: img (0 to 255). Writes: img (of its own type).

    Args:
        gamma: Above 1 brightens, below darkens.

    Source: MMSegmentation 0.30 ``AdjustGamma``.
    """

    @checked
    def __init__(self, gamma: Positive = 1.0) -> None:
        self.gamma = gamma
        self._table = ((np.arange(256) / 255.0) ** (1.0 / gamma) * 255).astype(np.uint8)

    def __call__(self, results: dict) -> dict:
        img = results['img']
        check_byte_scale(img, 'AdjustGamma')
        if img.dtype == np.uint8:
            results['img'] = cv2.LUT(img, self._table)
        else:
            results['img'] = (img / 255.0) ** (1.0 / self.gamma) * 255.0
        return results
