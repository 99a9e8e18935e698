"""Equalise histograms locally."""

from __future__ import annotations

from typing import Annotated

import cv2
import numpy as np

from msseg.datasets.pipelines.image_ops import check_byte_scale
from msseg.datasets.pipelines.transform import register_transform
from msseg.utils.arguments import NonNegative, Range

Tiles = Annotated[int, Range(1, 1024)]


@register_transform
class CLAHE:
    """Equalise the histogram of each channel, tile by tile, with limited contrast.

    Values are rounded to bytes. Reads: img (0 to 255). Writes: img (same dtype).

    Args:
        clip_limit: Contrast limit.
        tile_grid_size: Number of tiles, as OpenCV takes it.

    Source: "Contrast limited adaptive histogram equalization" (Zuiderveld, 1994);
        MMSegmentation 0.30 ``CLAHE``.
    """

    clip_limit: NonNegative = 40.0
    tile_grid_size: tuple[Tiles, Tiles] = (8, 8)

    def __call__(self, results: dict) -> dict:
        img = results['img']
        check_byte_scale(img, 'CLAHE')
        equalizer = cv2.createCLAHE(self.clip_limit, tuple(self.tile_grid_size))
        planes = np.rint(img).astype(np.uint8).reshape(*img.shape[:2], -1)
        planes = [
            equalizer.apply(np.ascontiguousarray(plane)) for plane in np.moveaxis(planes, 2, 0)
        ]
        results['img'] = np.stack(planes, axis=-1).astype(img.dtype).reshape(img.shape)
        return results
