"""Normalise images by mean and standard deviation."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np


class Normalization:
    """Subtracts the mean and divides by the standard deviation, channel by channel.

    A byte has 256 values, so a uint8 image needs one table look-up a channel.

    Args:
        mean: Of each channel, in RGB order if `to_rgb`.
        std: Of each channel.
        to_rgb: Swap BGR to RGB.
        who: What needs it, for errors.

    Raises:
        ValueError: Not one number for each channel in both, or a deviation that is not above 0.
    """

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], to_rgb: bool, who: str = 'Normalize'
    ) -> None:
        self.mean = np.array(mean, dtype=np.float32)
        self.std = np.array(std, dtype=np.float32)
        if self.mean.ndim != 1 or self.mean.shape != self.std.shape or not np.all(self.std > 0):
            raise ValueError(
                f'{who}: mean={mean!r}, std={std!r}; expected one number for each channel in '
                'both, std above 0'
            )
        self.to_rgb = to_rgb
        self.who = who
        self._tables = self._normalized(np.arange(256, dtype=np.float32)[:, None])

    def __call__(self, img: np.ndarray) -> np.ndarray:
        """Normalise an image.

        Args:
            img: (h, w, c) or (h, w).

        Returns:
            float32 (c, h, w).

        Raises:
            ValueError: Another number of channels.
        """
        channels = 1 if img.ndim == 2 else img.shape[2]
        if channels != len(self.mean):
            raise ValueError(
                f'{self.who}: mean has {len(self.mean)} numbers, but the image has {channels} '
                'channels; they must agree (see color_type of LoadImageFromFile)'
            )
        img = img.reshape(*img.shape[:2], channels)
        order = range(channels)
        if self.to_rgb:
            if channels != 3:
                raise ValueError(
                    f'{self.who}: to_rgb=True needs 3 channels, but the image has {channels}; '
                    'give to_rgb=False'
                )
            order = (2, 1, 0)
        planes = np.empty((channels, *img.shape[:2]), np.float32)
        if img.dtype == np.uint8:
            for c, source in enumerate(order):
                cv2.LUT(cv2.extractChannel(img, source), self._tables[:, c].copy(), planes[c])
        else:
            swapped = img[..., list(order)].astype(np.float32)
            np.copyto(planes, self._normalized(swapped).transpose(2, 0, 1))
        return planes

    def _normalized(self, values: np.ndarray) -> np.ndarray:
        # in double where OpenCV's subtract and multiply by scalars are, rounded after each
        shifted = (values - self.mean.astype(np.float64)).astype(np.float32)
        return (shifted * (1 / self.std.astype(np.float64))).astype(np.float32)
