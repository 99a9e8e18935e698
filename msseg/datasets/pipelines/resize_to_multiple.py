"""Resize images and labels up to a multiple."""

from __future__ import annotations

from typing import Literal

from msseg.datasets.pipelines.image_ops import INTERPOLATIONS, multiple_of, resize
from msseg.datasets.pipelines.transform import register_transform
from msseg.utils.arguments import Pixels, Size

Interpolation = Literal[tuple(INTERPOLATIONS)]


@register_transform
class ResizeToMultiple:
    """Resize image and label up to the next multiple of a divisor.

    Reads: img, seg_fields and the labels they name. Writes: img, the labels, img_shape,
    pad_shape.

    Args:
        size_divisor: The divisor; two of them are for (h, w).
        interpolation: For the image: nearest, bilinear, bicubic, area or lanczos; None is
            bilinear.

    Source: MMSegmentation 0.30 ``ResizeToMultiple``.
    """

    size_divisor: Pixels | Size = 32
    interpolation: Interpolation | None = None

    def __call__(self, results: dict) -> dict:
        img = results['img']
        size = multiple_of(img.shape[:2], self.size_divisor)
        results['img'] = resize(img, size, self.interpolation or 'bilinear')
        results['img_shape'] = results['pad_shape'] = results['img'].shape
        for key in results.get('seg_fields', []):
            label = results[key]
            size = multiple_of(label.shape[:2], self.size_divisor)
            results[key] = resize(label, size, 'nearest')
        return results
