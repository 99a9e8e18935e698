"""Vaihingen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msseg.datasets.builder import DATASETS
from msseg.datasets.custom import CustomDataset


@DATASETS.register_module()
class ISPRSDataset(CustomDataset):
    """Aerial images of Vaihingen, 6 classes.

    Args:
        img_suffix: What image names end with.
        seg_map_suffix: What label names end with.
        reduce_zero_label: Files hold class i as i + 1, and 0 for pixels that do not count.
        **kwargs: As `CustomDataset`.

    Source: ISPRS 2D Semantic Labeling Contest; MMSegmentation 0.30 ``ISPRSDataset``.
    """

    CLASSES = (
        'impervious_surface', 'building', 'low_vegetation', 'tree', 'car', 'clutter',
    )  # fmt: skip
    PALETTE = (
        (255, 255, 255), (0, 0, 255), (0, 255, 255), (0, 255, 0), (255, 255, 0), (255, 0, 0),
    )  # fmt: skip

    def __init__(
        self,
        img_suffix: str | Sequence[str] = '.png',
        seg_map_suffix: str = '.png',
        reduce_zero_label: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            reduce_zero_label=reduce_zero_label,
            **kwargs,
        )
