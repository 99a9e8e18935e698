"""Rescaling of the label alone."""

from __future__ import annotations

from typing import Annotated

from msseg.datasets.pipelines.image_ops import resize
from msseg.datasets.pipelines.transform import register_transform
from msseg.utils.arguments import Range
from msseg.utils.image_size import rescaled_size


@register_transform
class SegRescale:
    """Rescale the label by a factor, for a network whose output is smaller than its input.

    Reads: seg_fields and the labels they name. Writes: the labels.

    Args:
        scale_factor: The factor, above 0.

    Source: MMSegmentation 0.30 ``SegRescale``.
    """

    scale_factor: Annotated[float, Range(0, 100, above=True)] = 1

    def __call__(self, results: dict) -> dict:
        if self.scale_factor == 1:
            return results
        for key in results.get('seg_fields', []):
            size = rescaled_size(results[key].shape[:2], self.scale_factor)
            results[key] = resize(results[key], size, 'nearest')
        return results
