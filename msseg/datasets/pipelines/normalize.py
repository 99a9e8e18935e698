"""Normalise images by mean and standard deviation."""

from __future__ import annotations

from msseg.datasets.pipelines.transform import register_transform
from msseg.utils.arguments import NonEmpty, Positive
from msseg.utils.normalization import Normalization


@register_transform
class Normalize:
    """Subtract the mean and divide by the standard deviation, channel by channel.

    The channels are written one after the other, which is the order the network wants: the result
    is a (h, w, c) view of them, and turning it to (c, h, w) later costs no copy.

    Reads: img. Writes: img (float32), img_norm_cfg.

    Args:
        mean: Of each channel, in RGB order if `to_rgb`.
        std: Of each channel.
        to_rgb: Swap BGR to RGB.

    Source: MMSegmentation 0.30 ``Normalize``, same values bit by bit.

    Examples:
        >>> import numpy as np
        >>> normalize = Normalize(mean=[100.0], std=[50.0], to_rgb=False)
        >>> normalize(dict(img=np.array([[50, 200]], np.uint8)))['img'][..., 0]
        array([[-1.,  2.]], dtype=float32)
    """

    mean: NonEmpty[float]
    std: NonEmpty[Positive]
    to_rgb: bool = True

    def __post_init__(self) -> None:
        self._normalization = Normalization(self.mean, self.std, self.to_rgb)
        self.mean, self.std = self._normalization.mean, self._normalization.std

    def __call__(self, results: dict) -> dict:
        results['img'] = self._normalization(results['img']).transpose(1, 2, 0)
        results['img_norm_cfg'] = dict(mean=self.mean, std=self.std, to_rgb=self.to_rgb)
        return results
