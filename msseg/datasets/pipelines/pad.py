"""Pad images and labels."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from msseg.datasets.pipelines.image_ops import fillable, multiple_of, with_border
from msseg.datasets.pipelines.transform import register_transform
from msseg.utils.arguments import Int32, NonEmpty, Pixels, Size


@register_transform
class Pad:
    """Pad image and label at the bottom and the right.

    Reads: img, seg_fields and the labels they name, num_classes, ignore_index. Writes: img, the
    labels, pad_shape, pad_fixed_size, pad_size_divisor.

    Args:
        size: Pad to this size (h, w); a larger image stays as it is.
        size_divisor: Pad to multiples of this. Give one of `size` and `size_divisor`.
        pad_val: What to fill the image with: one number for all channels (MMSegmentation fills
            the first with it and the others with 0), or one for each.
        seg_pad_val: What to fill the label with.

    Source: MMSegmentation 0.30 ``Pad``.

    Examples:
        >>> Pad(size_divisor=32)(dict(img=np.zeros((50, 70, 3), np.uint8)))['img'].shape
        (64, 96, 3)
    """

    size: Size | None = None
    size_divisor: Pixels | None = None
    pad_val: float | NonEmpty[float] = 0
    seg_pad_val: Int32 = 255

    def __post_init__(self) -> None:
        if (self.size is None) == (self.size_divisor is None):
            raise ValueError(
                f'Pad: size={self.size!r} and size_divisor={self.size_divisor!r}; give exactly one '
                'of them'
            )
        self.size = self.size and tuple(self.size)

    def __call__(self, results: dict) -> dict:
        img = results['img']
        size = self.size or multiple_of(img.shape[:2], self.size_divisor)
        results['img'] = _pad_to(img, size, self.pad_val)
        results['pad_shape'] = results['img'].shape
        results['pad_fixed_size'] = self.size
        results['pad_size_divisor'] = self.size_divisor
        for key in results.get('seg_fields', []):
            label = fillable(results[key], self.seg_pad_val, results, 'Pad: seg_pad_val')
            results[key] = _pad_to(label, results['pad_shape'][:2], self.seg_pad_val)
        return results


def _pad_to(img: np.ndarray, size: tuple[int, int], value: float | Sequence[float]) -> np.ndarray:
    bottom, right = max(size[0] - img.shape[0], 0), max(size[1] - img.shape[1], 0)
    if bottom == 0 and right == 0:
        return img
    edges = (0, bottom, 0, right, cv2.BORDER_CONSTANT)
    pad = lambda part, fill: cv2.copyMakeBorder(part, *edges, value=fill)  # noqa: E731
    return with_border(img, value, pad, 'Pad: pad_val')
