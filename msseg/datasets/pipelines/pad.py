"""Padding."""

from __future__ import annotations

from collections.abc import Sequence

from msseg.datasets.builder import PIPELINES
from msseg.datasets.pipelines.arguments import check_size
from msseg.datasets.pipelines.image_ops import multiple_of, pad_to
from msseg.datasets.pipelines.label_check import fillable


@PIPELINES.register_module()
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
    """

    def __init__(
        self,
        size: tuple[int, int] | None = None,
        size_divisor: int | None = None,
        pad_val: float | Sequence[float] = 0,
        seg_pad_val: int = 255,
    ) -> None:
        if (size is None) == (size_divisor is None):
            raise ValueError(
                f'Pad: size={size!r} and size_divisor={size_divisor!r}; give exactly one of them'
            )
        if size_divisor is not None and (not isinstance(size_divisor, int) or size_divisor < 1):
            raise ValueError(f'Pad: size_divisor={size_divisor!r}; expected a whole number above 0')
        self.size = None if size is None else check_size('Pad', 'size', size)
        self.size_divisor = size_divisor
        self.pad_val = pad_val
        self.seg_pad_val = seg_pad_val

    def __call__(self, results: dict) -> dict:
        img = results['img']
        size = self.size or multiple_of(img.shape[:2], self.size_divisor)
        results['img'] = pad_to(img, size, self.pad_val)
        results['pad_shape'] = results['img'].shape
        results['pad_fixed_size'] = self.size
        results['pad_size_divisor'] = self.size_divisor
        for key in results.get('seg_fields', []):
            label = fillable(results[key], self.seg_pad_val, results, 'Pad: seg_pad_val')
            results[key] = pad_to(label, results['pad_shape'][:2], self.seg_pad_val)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(size={self.size}, size_divisor={self.size_divisor}, '
            f'pad_val={self.pad_val}, seg_pad_val={self.seg_pad_val})'
        )
