"""Mirror images and labels at random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2

from msseg.datasets.pipelines.label_map import map_values
from msseg.datasets.pipelines.transform import get_rng, register_transform
from msseg.utils.arguments import NonNegativeInt, Probability


@register_transform
class RandomFlip:
    """Mirror image and label with a probability.

    Reads: img, seg_fields and the labels they name, flip, flip_direction (which decide if they
    are there), rng. Writes: img, the labels, flip, flip_direction.

    Args:
        prob: Probability; None where ``results['flip']`` decides (test-time augmentation).
        direction: ``horizontal`` or ``vertical``.
        flip_ratio: Old name of `prob`.
        swap_seg_labels: Pairs of classes that a horizontal flip exchanges, such as left and
            right arm.

    Source: MMSegmentation 0.30 ``RandomFlip``; `swap_seg_labels` of 1.x.

    Examples:
        >>> import numpy as np
        >>> RandomFlip(prob=1.0)(dict(img=np.array([[1, 2, 3]], np.uint8)))['img']
        array([[3, 2, 1]], dtype=uint8)
    """

    prob: Probability | None = None
    direction: Literal['horizontal', 'vertical'] = 'horizontal'
    flip_ratio: Probability | None = None
    swap_seg_labels: Sequence[tuple[NonNegativeInt, NonNegativeInt]] = ()

    def __post_init__(self) -> None:
        if self.prob is not None and self.flip_ratio is not None:
            raise ValueError('RandomFlip: flip_ratio is the old name of prob; give prob only')
        self.prob = self.flip_ratio if self.prob is None else self.prob
        self.swaps = {old: new for pair in self.swap_seg_labels for old, new in (pair, pair[::-1])}

    def __call__(self, results: dict) -> dict:
        if 'flip' not in results:
            if self.prob is None:
                raise ValueError(
                    "RandomFlip: prob is None and results has no 'flip'; give prob=0.5, or use it "
                    'inside MultiScaleFlipAug'
                )
            results['flip'] = bool(get_rng(results).random() < self.prob)
        direction = results.setdefault('flip_direction', self.direction)
        if results['flip']:
            for key in ['img', *results.get('seg_fields', [])]:
                results[key] = cv2.flip(results[key], 1 if direction == 'horizontal' else 0)
            if self.swaps and direction == 'horizontal':
                for key in results.get('seg_fields', []):
                    results[key] = map_values(results[key], self.swaps)
        return results
