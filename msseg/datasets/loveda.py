"""LoveDA."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from msseg.datasets.builder import DATASETS
from msseg.datasets.custom import CustomDataset


@DATASETS.register_module()
class LoveDADataset(CustomDataset):
    """LoveDA, aerial images of towns and country, 7 classes.

    Its server takes class indices, so predictions are written as they are, though label files
    hold class i as i + 1.

    Args:
        img_suffix: What image names end with.
        seg_map_suffix: What label names end with.
        reduce_zero_label: Files hold class i as i + 1, and 0 for pixels that do not count.
        **kwargs: As `CustomDataset`.

    Source: "LoveDA: A Remote Sensing Land-Cover Dataset for Domain Adaptive Semantic
        Segmentation" (Wang et al., 2021); MMSegmentation 0.30 ``LoveDADataset``.
    """

    CLASSES = (
        'background', 'building', 'road', 'water', 'barren', 'forest', 'agricultural',
    )  # fmt: skip
    PALETTE = (
        (255, 255, 255), (255, 0, 0), (255, 255, 0), (0, 0, 255), (159, 129, 183), (0, 255, 0),
        (255, 195, 128),
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

    def format_results(
        self,
        results: Sequence[np.ndarray],
        imgfile_prefix: str,
        indices: Sequence[int] | None = None,
    ) -> list[str]:
        """Write predictions as PNG files of class indices; see `CustomDataset.format_results`."""
        return self._write_results(results, imgfile_prefix, indices)
