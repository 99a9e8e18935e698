"""Rescaling of the label alone."""

from __future__ import annotations

from typing import Annotated

from msseg.datasets.builder import PIPELINES
from msseg.datasets.pipelines.image_ops import resize
from msseg.datasets.pipelines.transform import Transform
from msseg.utils.arguments import Range, checked
from msseg.utils.image_size import rescaled_size


@PIPELINES.register_module()
class SegRescale(Transform):
    """Rescale the label by a factor, for a network whose output is smaller than its input.

    Reads: seg_fields and the labels they name. Writes: the labels.

    Args:
        scale_factor: The factor, above 0.

    Source: MMSegmentation 0.30 ``SegRescale``.
    """

    @checked
    def __init__(self, scale_factor: Annotated[float, Range(0, 100, above=True)] = 1) -> None:
        self.scale_factor = scale_factor

    def __call__(self, results: dict) -> dict:
        if self.scale_factor == 1:
            return results
        for key in results.get('seg_fields', []):
            size = rescaled_size(results[key].shape[:2], self.scale_factor)
            results[key] = resize(results[key], size, 'nearest')
        return results
