"""Stretch the range of values of images."""

from __future__ import annotations

from msseg.datasets.pipelines.transform import register_transform


@register_transform
class Rerange:
    """Stretch the image's values to a range.

    Reads: img. Writes: img (float64 from uint8, as MMSegmentation's).

    Args:
        min_value: New smallest value.
        max_value: New largest value.

    Source: MMSegmentation 0.30 ``Rerange``.
    """

    min_value: float = 0
    max_value: float = 255

    def __post_init__(self) -> None:
        if not self.min_value < self.max_value:
            raise ValueError(
                f'Rerange: min_value={self.min_value!r}, max_value={self.max_value!r}; expected '
                'the first below the second'
            )

    def __call__(self, results: dict) -> dict:
        img = results['img']
        low, high = img.min(), img.max()
        if not low < high:
            raise ValueError(
                f'Rerange: all values of the image are {low}, which cannot be stretched to a range'
            )
        stretched = (img - low) / (high - low)
        results['img'] = stretched * (self.max_value - self.min_value) + self.min_value
        return results
