"""Colour to grey."""

from __future__ import annotations

import numpy as np

from msseg.datasets.pipelines.transform import register_transform
from msseg.utils.arguments import Channels, NonEmpty


@register_transform
class RGB2Gray:
    """Replace the channels by their weighted sum.

    Reads: img. Writes: img (float64, as MMSegmentation's), img_shape.

    Args:
        out_channels: How often the sum is repeated; None keeps the number of channels.
        weights: Of the channels in the order they have in the image.

    Source: MMSegmentation 0.30 ``RGB2Gray``.
    """

    out_channels: Channels | None = None
    weights: NonEmpty[float] = (0.299, 0.587, 0.114)

    def __call__(self, results: dict) -> dict:
        img = results['img']
        if img.ndim != 3 or img.shape[2] != len(self.weights):
            raise ValueError(
                f'RGB2Gray: img has shape {img.shape}; expected (h, w, {len(self.weights)}), one '
                'channel for each weight'
            )
        grey = (img * np.array(self.weights)).sum(2, keepdims=True)
        results['img'] = grey.repeat(self.out_channels or len(self.weights), axis=2)
        results['img_shape'] = results['img'].shape
        return results
