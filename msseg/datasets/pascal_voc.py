"""PASCAL VOC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msseg.datasets.builder import DATASETS
from msseg.datasets.custom import CustomDataset
from msseg.datasets.required_split import required_split
from msseg.utils.arguments import File


@DATASETS.register_module()
class PascalVOCDataset(CustomDataset):
    """PASCAL VOC 2012, 21 classes with the background.

    Args:
        split: Text file with the names of the images, one a line; needed.
        img_suffix: What image names end with.
        seg_map_suffix: What label names end with.
        **kwargs: As `CustomDataset`.

    Raises:
        ValueError: `split` is None.

    Source: "The PASCAL Visual Object Classes Challenge" (Everingham et al., 2010); MMSegmentation
        0.30 ``PascalVOCDataset``.
    """

    CLASSES = (
        'background', 'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat',
        'chair', 'cow', 'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant',
        'sheep', 'sofa', 'train', 'tvmonitor',
    )  # fmt: skip
    PALETTE = (
        (0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128),
        (0, 128, 128), (128, 128, 128), (64, 0, 0), (192, 0, 0), (64, 128, 0), (192, 128, 0),
        (64, 0, 128), (192, 0, 128), (64, 128, 128), (192, 128, 128), (0, 64, 0), (128, 64, 0),
        (0, 192, 0), (128, 192, 0), (0, 64, 128),
    )  # fmt: skip

    def __init__(
        self,
        split: File | None,  # None is told what it misses
        img_suffix: str | Sequence[str] = '.jpg',
        seg_map_suffix: str = '.png',
        **kwargs: Any,
    ) -> None:
        super().__init__(
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            split=required_split(type(self).__name__, split),
            **kwargs,
        )
