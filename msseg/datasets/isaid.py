"""iSAID."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msseg.datasets.builder import DATASETS
from msseg.datasets.custom import CustomDataset


@DATASETS.register_module()
class iSAIDDataset(CustomDataset):
    """iSAID, aerial images, 16 classes with the background.

    Args:
        img_suffix: What image names end with.
        seg_map_suffix: What label names end with.
        **kwargs: As `CustomDataset`.

    Source: "iSAID: A Large-scale Dataset for Instance Segmentation in Aerial Images" (Zamir et
        al., 2019); MMSegmentation 0.30 ``iSAIDDataset``.
    """

    CLASSES = (
        'background', 'ship', 'store_tank', 'baseball_diamond', 'tennis_court', 'basketball_court',
        'Ground_Track_Field', 'Bridge', 'Large_Vehicle', 'Small_Vehicle', 'Helicopter',
        'Swimming_pool', 'Roundabout', 'Soccer_ball_field', 'plane', 'Harbor',
    )  # fmt: skip
    PALETTE = (
        (0, 0, 0), (0, 0, 63), (0, 63, 63), (0, 63, 0), (0, 63, 127), (0, 63, 191), (0, 63, 255),
        (0, 127, 63), (0, 127, 127), (0, 0, 127), (0, 0, 191), (0, 0, 255), (0, 191, 127),
        (0, 127, 191), (0, 127, 255), (0, 100, 155),
    )  # fmt: skip

    def __init__(
        self,
        img_suffix: str | Sequence[str] = '.png',
        seg_map_suffix: str = '_instance_color_RGB.png',
        **kwargs: Any,
    ) -> None:
        super().__init__(
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            **kwargs,
        )
