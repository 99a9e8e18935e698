"""Potsdam."""

from msseg.datasets.builder import DATASETS
from msseg.datasets.custom import CustomDataset
from msseg.datasets.isprs import ISPRSDataset


@DATASETS.register_module()
class PotsdamDataset(CustomDataset):
    """Aerial images of Potsdam, 6 classes.

    Source: ISPRS 2D Semantic Labeling Contest; MMSegmentation 0.30 ``PotsdamDataset``.
    """

    img_suffix = '.png'
    reduce_zero_label = True
    CLASSES = ISPRSDataset.CLASSES
    PALETTE = ISPRSDataset.PALETTE
