"""Normalisation by mean and standard deviation."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from msseg.datasets.builder import PIPELINES


@PIPELINES.register_module()
class Normalize:
    """Subtract the mean and divide by the standard deviation, channel by channel.

    A byte has 256 values, so a uint8 image needs one table look-up a channel. The channels are
    written one after the other, which is the order the network wants: the result is a
    (h, w, c) view of them, and turning it to (c, h, w) later costs no copy.

    Reads: img. Writes: img (float32), img_norm_cfg.

    Args:
        mean: Of each channel, in RGB order if `to_rgb`.
        std: Of each channel.
        to_rgb: Swap BGR to RGB.

    Source: MMSegmentation 0.30 ``Normalize``, same values bit by bit.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], to_rgb: bool = True) -> None:
        self.mean = np.array(mean, dtype=np.float32)
        self.std = np.array(std, dtype=np.float32)
        if self.mean.ndim != 1 or self.mean.shape != self.std.shape or not np.all(self.std > 0):
            raise ValueError(
                f'Normalize: mean={mean!r}, std={std!r}; expected one number for each channel in '
                'both, std above 0'
            )
        self.to_rgb = to_rgb
        self._tables = self._normalized(np.arange(256, dtype=np.float32)[:, None])

    def __call__(self, results: dict) -> dict:
        img = results['img']
        channels = 1 if img.ndim == 2 else img.shape[2]
        if channels != len(self.mean):
            raise ValueError(
                f'Normalize: mean has {len(self.mean)} numbers, but the image has {channels} '
                'channels; they must agree (see color_type of LoadImageFromFile)'
            )
        img = img.reshape(*img.shape[:2], channels)
        order = range(channels)
        if self.to_rgb:
            if channels != 3:
                raise ValueError(
                    f'Normalize: to_rgb=True needs 3 channels, but the image has {channels}; give '
                    'to_rgb=False'
                )
            order = (2, 1, 0)
        planes = np.empty((channels, *img.shape[:2]), np.float32)
        if img.dtype == np.uint8:
            for c, source in enumerate(order):
                cv2.LUT(cv2.extractChannel(img, source), self._tables[:, c].copy(), planes[c])
        else:
            swapped = img[..., list(order)].astype(np.float32)
            np.copyto(planes, self._normalized(swapped).transpose(2, 0, 1))
        results['img'] = planes.transpose(1, 2, 0)
        results['img_norm_cfg'] = dict(mean=self.mean, std=self.std, to_rgb=self.to_rgb)
        return results

    def _normalized(self, values: np.ndarray) -> np.ndarray:
        # in double where OpenCV's subtract and multiply by scalars are, rounded after each
        shifted = (values - self.mean.astype(np.float64)).astype(np.float32)
        return (shifted * (1 / self.std.astype(np.float64))).astype(np.float32)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(mean={self.mean.tolist()}, std={self.std.tolist()}, '
            f'to_rgb={self.to_rgb})'
        )
