"""Random changes of brightness, contrast, saturation and hue."""

from __future__ import annotations

import cv2
import numpy as np

from msseg.datasets.builder import PIPELINES
from msseg.datasets.pipelines.arguments import is_pair
from msseg.datasets.pipelines.random_source import RandomSource, get_rng

_VALUES = np.arange(256)
_KEEP = _VALUES.astype(np.uint8)


@PIPELINES.register_module()
class PhotoMetricDistortion:
    """Change brightness, contrast, saturation and hue, each with probability 0.5.

    Contrast comes second or last, by chance. Every step maps one byte to one byte, so each is
    one table look-up; saturation and hue in HSV.

    Reads: img (uint8, BGR), rng. Writes: img.

    Args:
        brightness_delta: Largest change, in grey levels.
        contrast_range: Smallest and largest factor.
        saturation_range: Smallest and largest factor.
        hue_delta: Largest change, in OpenCV's units of two degrees.

    Source: "SSD: Single Shot MultiBox Detector" (Liu et al., 2016), data augmentation;
        MMSegmentation 0.30 ``PhotoMetricDistortion``, same values bit by bit.
    """

    def __init__(
        self,
        brightness_delta: float = 32,
        contrast_range: tuple[float, float] = (0.5, 1.5),
        saturation_range: tuple[float, float] = (0.5, 1.5),
        hue_delta: int = 18,
    ) -> None:
        for name, value in (
            ('contrast_range', contrast_range),
            ('saturation_range', saturation_range),
        ):
            if not is_pair(value) or not 0 <= value[0] <= value[1]:
                raise ValueError(
                    f'PhotoMetricDistortion: {name}={value!r}; expected (smallest, largest), '
                    'neither below 0'
                )
        self.brightness_delta = brightness_delta
        self.contrast_range = contrast_range
        self.saturation_range = saturation_range
        self.hue_delta = hue_delta

    def __call__(self, results: dict) -> dict:
        img = results['img']
        if img.dtype != np.uint8 or img.ndim != 3 or img.shape[2] != 3:
            raise TypeError(
                f'PhotoMetricDistortion: img is {img.dtype} of shape {img.shape}; expected uint8 '
                '(h, w, 3): place it before Normalize, and load with to_float32=False'
            )
        for space, table in self._sample_tables(get_rng(results)):
            if space == 'bgr':
                img = cv2.LUT(img, table)
            else:
                hsv = cv2.cvtColor(img, cv2.COLOR_BGR2HSV)
                cv2.LUT(hsv, table, hsv)
                img = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR, hsv)
        results['img'] = img
        return results

    def _sample_tables(self, rng: RandomSource) -> list[tuple[str, np.ndarray]]:
        """Draw the steps in MMSegmentation's order: colour space and 256-entry table of each."""
        steps = []
        if rng.integers(0, 2):
            delta = rng.uniform(-self.brightness_delta, self.brightness_delta)
            steps.append(('bgr', _linear_table(1, delta)))
        contrast_last = not rng.integers(0, 2)
        if not contrast_last:
            self._sample_contrast(rng, steps)
        if rng.integers(0, 2):
            factor = rng.uniform(*self.saturation_range)
            steps.append(('hsv', np.stack([_KEEP, _linear_table(factor, 0), _KEEP], -1)[None]))
        if rng.integers(0, 2):
            shift = int(rng.integers(-self.hue_delta, self.hue_delta))
            hue = ((_VALUES + shift) % 180).astype(np.uint8)
            steps.append(('hsv', np.stack([hue, _KEEP, _KEEP], -1)[None]))
        if contrast_last:
            self._sample_contrast(rng, steps)
        return steps

    def _sample_contrast(self, rng: RandomSource, steps: list) -> None:
        if rng.integers(0, 2):
            steps.append(('bgr', _linear_table(rng.uniform(*self.contrast_range), 0)))

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(brightness_delta={self.brightness_delta}, '
            f'contrast_range={self.contrast_range}, saturation_range={self.saturation_range}, '
            f'hue_delta={self.hue_delta})'
        )


def _linear_table(factor: float, delta: float) -> np.ndarray:
    # Python numbers keep this in float32, as upstream computes it; then it truncates
    table = _VALUES.astype(np.float32) * float(factor) + float(delta)
    return np.clip(table, 0, 255).astype(np.uint8)
