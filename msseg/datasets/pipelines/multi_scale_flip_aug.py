"""Augment images at test time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from msseg.datasets.pipelines.compose import Compose
from msseg.datasets.pipelines.resize import Scales, parse_scales
from msseg.datasets.pipelines.transform import register_transform
from msseg.utils.arguments import NonEmpty, Positive
from msseg.utils.image_size import scaled_wh
from msseg.utils.logging import warn_once

Direction = Literal['horizontal', 'vertical']


@register_transform
class MultiScaleFlipAug:
    """Apply transforms once for each scale and flip.

    Reads: what its transforms read. Writes: a new dict of what they give, each value a list.

    Args:
        transforms: The transforms, with Resize and RandomFlip without scale and probability.
        img_scale: (w, h), a list of them, or None for the image's own size. Note the order,
            which is MMSegmentation's.
        img_ratios: One factor or a list, on `img_scale`; needed when that is None.
        flip: Each scale without and with flip.
        flip_direction: ``horizontal``, ``vertical``, or a list of them.
        rounds_sizes: Whether the sizes of `img_ratios` are rounded to the nearest pixel, as in
            MMSegmentation 1.x; down otherwise.

    Source: MMSegmentation 0.30 ``MultiScaleFlipAug``.
    """

    transforms: Sequence[Any]
    img_scale: Scales = None
    img_ratios: Positive | NonEmpty[Positive] | None = None
    flip: bool = False
    flip_direction: Direction | NonEmpty[Direction] = 'horizontal'
    rounds_sizes: bool = False

    def __post_init__(self) -> None:
        scales, ratios = parse_scales(self.img_scale), self.img_ratios
        self.img_ratios = [ratios] if isinstance(ratios, (int, float)) else ratios
        if scales is None and not self.img_ratios:
            raise ValueError('MultiScaleFlipAug: img_scale is None; give img_ratios, such as [1.0]')
        if scales is not None and self.img_ratios:
            if len(scales) > 1:
                raise ValueError(
                    f'MultiScaleFlipAug: img_ratios goes with one img_scale or None, but '
                    f'img_scale={scales!r}'
                )
            scales = [self._scaled(scales[0], ratio) for ratio in self.img_ratios]
        self.img_scale = scales
        directions = self.flip_direction
        self.flip_direction = [directions] if isinstance(directions, str) else list(directions)
        self._check_flip(self.transforms)
        self.transforms = Compose(self.transforms)

    def _check_flip(self, transforms: Sequence[Any]) -> None:
        types = [t.get('type') if isinstance(t, dict) else type(t).__name__ for t in transforms]
        if not self.flip:
            if self.flip_direction != ['horizontal']:
                warn_once('MultiScaleFlipAug: flip_direction has no effect while flip=False')
        elif 'RandomFlip' not in types:
            warn_once('MultiScaleFlipAug: flip=True has no effect without RandomFlip')
        elif 'Pad' in types and types.index('Pad') < types.index('RandomFlip'):
            raise ValueError(
                'MultiScaleFlipAug: Pad stands before RandomFlip; with flip=True it must follow, '
                'or the padding ends up on the wrong side'
            )

    def _scaled(self, wh: tuple[int, int], ratio: float) -> tuple[int, int]:
        return scaled_wh(wh, ratio, 0.5 if self.rounds_sizes else 0.0)

    def __call__(self, results: dict) -> dict:
        scales = self.img_scale
        if scales is None:
            h, w = results['img'].shape[:2]
            scales = [self._scaled((w, h), ratio) for ratio in self.img_ratios]
        augmented = []
        for scale in scales:
            for flip in (False, True) if self.flip else (False,):
                for direction in self.flip_direction:
                    one = results.copy()
                    one.update(scale=scale, flip=flip, flip_direction=direction)
                    augmented.append(self.transforms(one))
        return {key: [one[key] for one in augmented] for key in augmented[0]}
