"""Vaihingen."""

from msseg.datasets.builder import DATASETS
from msseg.datasets.custom import CustomDataset


@DATASETS.register_module()
class ISPRSDataset(CustomDataset):
    """Aerial images of Vaihingen, 6 classes.

    Source: ISPRS 2D Semantic Labeling Contest; MMSegmentation 0.30 ``ISPRSDataset``.
    """

    img_suffix = '.png'
    reduce_zero_label = True
    CLASSES = (
        'impervious_surface', 'building', 'low_vegetation', 'tree', 'car', 'clutter',
    )  # fmt: skip
    PALETTE = (
        (255, 255, 255), (0, 0, 255), (0, 255, 255), (0, 255, 0), (255, 255, 0), (255, 0, 0),
    )  # fmt: skip
