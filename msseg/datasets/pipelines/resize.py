"""Resize images and labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np

from msseg.datasets.pipelines.image_ops import resize
from msseg.datasets.pipelines.transform import RandomSource, get_rng, register_transform
from msseg.utils.arguments import NonEmpty, Ordered, Pixels, Positive, Scale, fits
from msseg.utils.image_size import rescaled_size, scaled_wh

Scales = Scale | NonEmpty[Scale] | None


@register_transform
class Resize:
    """Resize image and label, to a fixed or a random scale.

    The scale is ``results['scale']`` if it is there; else
    - with `ratio_range`: a random ratio times `img_scale` (times the image's own size when
      `img_scale` is None);
    - with one `img_scale`: that;
    - with several and ``multiscale_mode='range'``: long and short edge drawn between those of
      two scales; with ``'value'``: one of the scales.

    Reads: img, seg_fields and the labels they name, scale, rng. Writes: img, the labels, scale,
    scale_idx, img_shape, pad_shape, scale_factor, keep_ratio.

    Args:
        img_scale: One scale (w, h) or a list of them. Note the order, which is MMSegmentation's.
        multiscale_mode: ``range`` or ``value``.
        ratio_range: Smallest and largest ratio.
        keep_ratio: The largest size within the scale that keeps the aspect ratio, otherwise
            the scale itself.
        min_size: With `keep_ratio`: the short edge is at least this many pixels.

    Source: MMSegmentation 0.30 ``Resize``.

    Examples:
        >>> resize = Resize(img_scale=(64, 64))  # width, height: keeps the aspect ratio
        >>> resize(dict(img=np.zeros((100, 200, 3), np.uint8)))['img'].shape
        (32, 64, 3)
    """

    img_scale: Scales = None
    multiscale_mode: Literal['range', 'value'] = 'range'
    ratio_range: Annotated[tuple[Positive, Positive], Ordered()] | None = None
    keep_ratio: bool = True
    min_size: Pixels | None = None

    def __post_init__(self) -> None:
        self.img_scale = parse_scales(self.img_scale)
        num_scales = len(self.img_scale or ())
        if self.ratio_range is not None and num_scales > 1:
            raise ValueError(
                f'Resize: ratio_range goes with one img_scale or None, but img_scale has '
                f'{num_scales}'
            )
        if self.ratio_range is None and self.multiscale_mode == 'range' and num_scales > 2:
            raise ValueError(
                f"Resize: multiscale_mode='range' draws between two scales, but img_scale has "
                f"{num_scales}; give two, or multiscale_mode='value'"
            )

    def __call__(self, results: dict) -> dict:
        size = self.choose_size(results)
        img = results['img']
        resized = img if size == img.shape[:2] else resize(img, size)
        for key in results.get('seg_fields', []):
            label = results[key]
            is_alike = label.shape[:2] == img.shape[:2]
            label_size = size if is_alike else self._fit(label.shape[:2], results['scale'])
            results[key] = resize(label, label_size, 'nearest')
        self.write_shapes(results, resized)
        return results

    def choose_size(self, results: dict) -> tuple[int, int]:
        """Draw the scale, write it to `results`, and return the new size (h, w)."""
        if 'scale' not in results:
            results['scale'], results['scale_idx'] = self._sample_scale(
                get_rng(results), results['img'].shape[:2]
            )
        h, w = results['img'].shape[:2]
        if self.keep_ratio and self.min_size is not None:
            short = max(min(results['scale']), self.min_size)
            results['scale'] = (short * h / w, short) if h > w else (short, short * w / h)
        return self._fit((h, w), results['scale'])

    def write_shapes(self, results: dict, img: np.ndarray) -> None:
        """Write the resized image and what belongs to it."""
        h, w = results['img'].shape[:2]
        new_h, new_w = img.shape[:2]
        factor = np.array([new_w / w, new_h / h] * 2, dtype=np.float32)
        results.update(img=img, img_shape=img.shape, pad_shape=img.shape)
        results.update(scale_factor=factor, keep_ratio=self.keep_ratio)

    def _fit(self, size: tuple[int, int], scale: Sequence[float]) -> tuple[int, int]:
        if self.keep_ratio:
            return rescaled_size(size, scale)
        return max(int(scale[1]), 1), max(int(scale[0]), 1)

    def _sample_scale(
        self, rng: RandomSource, size: tuple[int, int]
    ) -> tuple[tuple[int, int], int | None]:
        if self.ratio_range is not None:
            w, h = self.img_scale[0] if self.img_scale else (size[1], size[0])
            low, high = self.ratio_range
            ratio = rng.random() * (high - low) + low
            return scaled_wh((w, h), ratio), None
        if self.img_scale is None:
            raise ValueError(
                "Resize: img_scale is None and there is neither ratio_range nor results['scale']; "
                'give img_scale=(w, h)'
            )
        if len(self.img_scale) == 1:
            return self.img_scale[0], 0
        if self.multiscale_mode == 'value':
            index = int(rng.integers(0, len(self.img_scale)))
            return self.img_scale[index], index
        long_edges = sorted(max(s) for s in self.img_scale)
        short_edges = sorted(min(s) for s in self.img_scale)
        long_edge = int(rng.integers(long_edges[0], long_edges[-1] + 1))
        return (long_edge, int(rng.integers(short_edges[0], short_edges[-1] + 1))), None


def parse_scales(img_scale: Scales) -> list[tuple[int, int]] | None:
    """Return one scale (w, h) or several as a list; None stays None."""
    if img_scale is None:
        return None
    return [tuple(scale) for scale in ([img_scale] if fits(img_scale, Scale) else img_scale)]
