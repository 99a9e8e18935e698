"""Nuclei in microscopy images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msseg.datasets.builder import DATASETS
from msseg.datasets.custom import CustomDataset


@DATASETS.register_module()
class NucleiDataset(CustomDataset):
    """Cell nuclei in microscopy images: background and nucleus.

    Args:
        img_suffix: What image names end with.
        seg_map_suffix: What label names end with.
        **kwargs: As `CustomDataset`.

    Source: 2018 Data Science Bowl, stage 1 (Broad Bioimage Benchmark Collection BBBC038).
    """

    CLASSES = ('background', 'nucleus')
    PALETTE = ((0, 0, 0), (0, 220, 80))

    def __init__(
        self,
        img_suffix: str | Sequence[str] = ('.jpg', '.png'),
        seg_map_suffix: str = '.png',
        **kwargs: Any,
    ) -> None:
        super().__init__(img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, **kwargs)
