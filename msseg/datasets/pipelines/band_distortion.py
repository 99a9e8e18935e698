"""Change brightness and contrast of images of any bands at random."""

from __future__ import annotations

import numpy as np

from msseg.datasets.pipelines.transform import get_rng, register_transform
from msseg.utils.arguments import Factors, NonNegative


@register_transform
class BandDistortion:
    """Change brightness and contrast, for images of any number of channels and any scale.

    Three changes, each with probability 0.5: all channels become brighter or darker together, all
    get another contrast around their means, and each channel is shifted by itself. Shifts are in
    standard deviations of the channel in this image, so reflectances from 0 to 1, 16-bit numbers
    and normalised values change alike. Nothing is taken for a colour: hue and saturation stay out.

    Reads: img, rng. Writes: img (same dtype; whole numbers are rounded and clipped to its limits).

    Args:
        brightness_delta: Largest shift of all channels together, in standard deviations.
        contrast_range: Smallest and largest factor.
        band_delta: Largest shift of each channel by itself, in standard deviations.

    Examples:
        >>> img = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
        >>> rng = np.random.default_rng(0)
        >>> out = BandDistortion(band_delta=0)(dict(img=img, rng=rng))['img']
        >>> out.shape, bool((np.diff(out - img, axis=2) < 1e-6).all())
        ((2, 2, 2), True)
    """

    brightness_delta: NonNegative = 0.2
    contrast_range: Factors = (0.8, 1.25)
    band_delta: NonNegative = 0.1

    def __call__(self, results: dict) -> dict:
        img, rng = results['img'], get_rng(results)
        planes = img.reshape(*img.shape[:2], -1)
        shift, factor = np.zeros(planes.shape[2]), 1.0
        if rng.integers(0, 2):
            shift += rng.uniform(-self.brightness_delta, self.brightness_delta)
        if rng.integers(0, 2):
            factor = rng.uniform(*self.contrast_range)
        if rng.integers(0, 2):
            shift += [rng.uniform(-self.band_delta, self.band_delta) for _ in shift]
        if factor == 1.0 and not shift.any():
            return results
        mean, std = (f(planes, axis=(0, 1), dtype=np.float64) for f in (np.mean, np.std))
        offset = (mean * (1 - factor) + shift * std).astype(np.float32)
        changed = planes * np.float32(factor) + offset
        if img.dtype.kind in 'ui':
            limits = np.iinfo(img.dtype)
            changed = np.rint(changed).clip(limits.min, limits.max)
        results['img'] = changed.astype(img.dtype).reshape(img.shape)
        return results
