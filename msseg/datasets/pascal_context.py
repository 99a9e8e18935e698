"""PASCAL-Context, with the background and without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msseg.datasets.builder import DATASETS
from msseg.datasets.custom import CustomDataset
from msseg.datasets.required_split import required_split
from msseg.utils.arguments import File


@DATASETS.register_module()
class PascalContextDataset(CustomDataset):
    """PASCAL-Context, 60 classes, the first of which is the background.

    Args:
        split: Text file with the names of the images, one a line; needed.
        img_suffix: What image names end with.
        seg_map_suffix: What label names end with.
        reduce_zero_label: Files hold class i as i + 1, and 0 for pixels that do not count.
        **kwargs: As `CustomDataset`.

    Raises:
        ValueError: `split` is None.

    Source: "The Role of Context for Object Detection and Semantic Segmentation in the Wild"
        (Mottaghi et al., 2014); MMSegmentation 0.30 ``PascalContextDataset``.
    """

    CLASSES = (
        'background', 'aeroplane', 'bag', 'bed', 'bedclothes', 'bench', 'bicycle', 'bird', 'boat',
        'book', 'bottle', 'building', 'bus', 'cabinet', 'car', 'cat', 'ceiling', 'chair', 'cloth',
        'computer', 'cow', 'cup', 'curtain', 'dog', 'door', 'fence', 'floor', 'flower', 'food',
        'grass', 'ground', 'horse', 'keyboard', 'light', 'motorbike', 'mountain', 'mouse', 'person',
        'plate', 'platform', 'pottedplant', 'road', 'rock', 'sheep', 'shelves', 'sidewalk', 'sign',
        'sky', 'snow', 'sofa', 'table', 'track', 'train', 'tree', 'truck', 'tvmonitor', 'wall',
        'water', 'window', 'wood',
    )  # fmt: skip
    PALETTE = (
        (120, 120, 120), (180, 120, 120), (6, 230, 230), (80, 50, 50), (4, 200, 3), (120, 120, 80),
        (140, 140, 140), (204, 5, 255), (230, 230, 230), (4, 250, 7), (224, 5, 255), (235, 255, 7),
        (150, 5, 61), (120, 120, 70), (8, 255, 51), (255, 6, 82), (143, 255, 140), (204, 255, 4),
        (255, 51, 7), (204, 70, 3), (0, 102, 200), (61, 230, 250), (255, 6, 51), (11, 102, 255),
        (255, 7, 71), (255, 9, 224), (9, 7, 230), (220, 220, 220), (255, 9, 92), (112, 9, 255),
        (8, 255, 214), (7, 255, 224), (255, 184, 6), (10, 255, 71), (255, 41, 10), (7, 255, 255),
        (224, 255, 8), (102, 8, 255), (255, 61, 6), (255, 194, 7), (255, 122, 8), (0, 255, 20),
        (255, 8, 41), (255, 5, 153), (6, 51, 255), (235, 12, 255), (160, 150, 20), (0, 163, 255),
        (140, 140, 140), (250, 10, 15), (20, 255, 0), (31, 255, 0), (255, 31, 0), (255, 224, 0),
        (153, 255, 0), (0, 0, 255), (255, 71, 0), (0, 235, 255), (0, 173, 255), (31, 0, 255),
    )  # fmt: skip

    def __init__(
        self,
        split: File | None,  # None is told what it misses
        img_suffix: str | Sequence[str] = '.jpg',
        seg_map_suffix: str = '.png',
        reduce_zero_label: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            reduce_zero_label=reduce_zero_label,
            split=required_split(type(self).__name__, split),
            **kwargs,
        )


@DATASETS.register_module()
class PascalContextDataset59(CustomDataset):
    """PASCAL-Context, 59 classes; the background does not count.

    Args:
        split: Text file with the names of the images, one a line; needed.
        img_suffix: What image names end with.
        seg_map_suffix: What label names end with.
        reduce_zero_label: Files hold class i as i + 1, and 0 for pixels that do not count.
        **kwargs: As `CustomDataset`.

    Raises:
        ValueError: `split` is None.

    Source: As `PascalContextDataset`; MMSegmentation 0.30 ``PascalContextDataset59``.
    """

    CLASSES = (
        'aeroplane', 'bag', 'bed', 'bedclothes', 'bench', 'bicycle', 'bird', 'boat', 'book',
        'bottle', 'building', 'bus', 'cabinet', 'car', 'cat', 'ceiling', 'chair', 'cloth',
        'computer', 'cow', 'cup', 'curtain', 'dog', 'door', 'fence', 'floor', 'flower', 'food',
        'grass', 'ground', 'horse', 'keyboard', 'light', 'motorbike', 'mountain', 'mouse', 'person',
        'plate', 'platform', 'pottedplant', 'road', 'rock', 'sheep', 'shelves', 'sidewalk', 'sign',
        'sky', 'snow', 'sofa', 'table', 'track', 'train', 'tree', 'truck', 'tvmonitor', 'wall',
        'water', 'window', 'wood',
    )  # fmt: skip
    PALETTE = (
        (180, 120, 120), (6, 230, 230), (80, 50, 50), (4, 200, 3), (120, 120, 80), (140, 140, 140),
        (204, 5, 255), (230, 230, 230), (4, 250, 7), (224, 5, 255), (235, 255, 7), (150, 5, 61),
        (120, 120, 70), (8, 255, 51), (255, 6, 82), (143, 255, 140), (204, 255, 4), (255, 51, 7),
        (204, 70, 3), (0, 102, 200), (61, 230, 250), (255, 6, 51), (11, 102, 255), (255, 7, 71),
        (255, 9, 224), (9, 7, 230), (220, 220, 220), (255, 9, 92), (112, 9, 255), (8, 255, 214),
        (7, 255, 224), (255, 184, 6), (10, 255, 71), (255, 41, 10), (7, 255, 255), (224, 255, 8),
        (102, 8, 255), (255, 61, 6), (255, 194, 7), (255, 122, 8), (0, 255, 20), (255, 8, 41),
        (255, 5, 153), (6, 51, 255), (235, 12, 255), (160, 150, 20), (0, 163, 255), (140, 140, 140),
        (250, 10, 15), (20, 255, 0), (31, 255, 0), (255, 31, 0), (255, 224, 0), (153, 255, 0),
        (0, 0, 255), (255, 71, 0), (0, 235, 255), (0, 173, 255), (31, 0, 255),
    )  # fmt: skip

    def __init__(
        self,
        split: File | None,  # None is told what it misses
        img_suffix: str | Sequence[str] = '.jpg',
        seg_map_suffix: str = '.png',
        reduce_zero_label: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            reduce_zero_label=reduce_zero_label,
            split=required_split(type(self).__name__, split),
            **kwargs,
        )
