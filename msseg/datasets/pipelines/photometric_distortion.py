"""Change brightness, contrast, saturation and hue at random."""

from __future__ import annotations

from typing import Annotated

import cv2
import numpy as np

from msseg.datasets.pipelines.image_ops import check_byte_scale
from msseg.datasets.pipelines.transform import RandomSource, get_rng, register_transform
from msseg.utils.arguments import Factors, NonNegative, Range

_VALUES = np.arange(256)
_KEEP = _VALUES.astype(np.uint8)


@register_transform
class PhotoMetricDistortion:
    """Change brightness, contrast, saturation and hue, each with probability 0.5.

    Contrast comes second or last, by chance. Saturation and hue are changed in HSV. A step on an
    image of bytes is one table look-up; images of more bits are float32 and are not rounded.

    Reads: img (BGR, 0 to 255), rng. Writes: img (same dtype).

    Args:
        brightness_delta: Largest change, in grey levels.
        contrast_range: Smallest and largest factor.
        saturation_range: Smallest and largest factor.
        hue_delta: Largest change, in OpenCV's units of two degrees.

    Source: "SSD: Single Shot MultiBox Detector" (Liu et al., 2016), data augmentation;
        MMSegmentation 0.30 ``PhotoMetricDistortion``, same values bit by bit.
    """

    brightness_delta: NonNegative = 32
    contrast_range: Factors = (0.5, 1.5)
    saturation_range: Factors = (0.5, 1.5)
    hue_delta: Annotated[int, Range(0, 180)] = 18

    def __call__(self, results: dict) -> dict:
        img = results['img']
        if img.ndim != 3 or img.shape[2] != 3:
            raise ValueError(
                f'PhotoMetricDistortion: img is of shape {img.shape}; expected colours (h, w, 3), '
                'of which hue and saturation are changed: use BandDistortion for other channels'
            )
        check_byte_scale(img, 'PhotoMetricDistortion')
        apply = _apply_to_bytes if img.dtype == np.uint8 else _apply_to_floats
        for step in self._sample_steps(get_rng(results)):
            img = apply(img, *step)
        results['img'] = img
        return results

    def _sample_steps(self, rng: RandomSource) -> list[tuple[str, float]]:
        """Draw the steps, each by its name and number, in MMSegmentation's order."""
        steps = []
        if rng.integers(0, 2):
            delta = rng.uniform(-self.brightness_delta, self.brightness_delta)
            steps.append(('brightness', delta))
        contrast_last = not rng.integers(0, 2)
        if not contrast_last:
            self._sample_contrast(rng, steps)
        if rng.integers(0, 2):
            steps.append(('saturation', rng.uniform(*self.saturation_range)))
        if rng.integers(0, 2):
            steps.append(('hue', int(rng.integers(-self.hue_delta, self.hue_delta))))
        if contrast_last:
            self._sample_contrast(rng, steps)
        return steps

    def _sample_contrast(self, rng: RandomSource, steps: list) -> None:
        if rng.integers(0, 2):
            steps.append(('contrast', rng.uniform(*self.contrast_range)))


def _apply_to_bytes(img: np.ndarray, step: str, number: float) -> np.ndarray:
    if step == 'brightness':
        return cv2.LUT(img, _linear_table(1, number))
    if step == 'contrast':
        return cv2.LUT(img, _linear_table(number, 0))
    hue, saturation = _KEEP, _KEEP
    if step == 'saturation':
        saturation = _linear_table(number, 0)
    else:
        hue = ((_VALUES + int(number)) % 180).astype(np.uint8)
    hsv = cv2.cvtColor(img, cv2.COLOR_BGR2HSV)
    cv2.LUT(hsv, np.stack([hue, saturation, _KEEP], -1)[None], hsv)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR, hsv)


def _apply_to_floats(img: np.ndarray, step: str, number: float) -> np.ndarray:
    img = img.astype(np.float32, copy=False)
    if step == 'brightness':
        return np.clip(img + np.float32(number), 0, 255)
    if step == 'contrast':
        return np.clip(img * np.float32(number), 0, 255)
    hsv = cv2.cvtColor(img, cv2.COLOR_BGR2HSV)  # hue in degrees, saturation from 0 to 1
    if step == 'saturation':
        hsv[..., 1] = np.clip(hsv[..., 1] * np.float32(number), 0, 1)
    else:
        hsv[..., 0] = (hsv[..., 0] + 2 * number) % 360
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)


def _linear_table(factor: float, delta: float) -> np.ndarray:
    # Python numbers keep this in float32, as upstream computes it; then it truncates
    table = _VALUES.astype(np.float32) * float(factor) + float(delta)
    return np.clip(table, 0, 255).astype(np.uint8)
