"""CamVid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msseg.datasets.builder import DATASETS
from msseg.datasets.custom import CustomDataset


@DATASETS.register_module()
class CamVidDataset(CustomDataset):
    """CamVid, 11 classes; pixels of all others are 255 and do not count.

    Labels hold class indices: ``tools/convert_datasets/camvid.py`` makes them from the public
    downloads.

    Args:
        img_suffix: What image names end with.
        seg_map_suffix: What label names end with.
        **kwargs: As `CustomDataset`.

    Source: "Semantic object classes in video" (Brostow et al., 2009), the 11 groups of classes
        in the order of the SegNet tutorial's files.
    """

    CLASSES = (
        'sky', 'building', 'pole', 'road', 'pavement', 'tree', 'sign', 'fence', 'car',
        'pedestrian', 'bicyclist',
    )  # fmt: skip
    PALETTE = (
        (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (0, 0, 192), (128, 128, 0),
        (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
    )  # fmt: skip

    def __init__(
        self,
        img_suffix: str | Sequence[str] = ('.png', '.jpg'),
        seg_map_suffix: str = '.png',
        **kwargs: Any,
    ) -> None:
        super().__init__(img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, **kwargs)
