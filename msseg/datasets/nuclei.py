"""Nuclei in microscopy images."""

from msseg.datasets.builder import DATASETS
from msseg.datasets.custom import CustomDataset


@DATASETS.register_module()
class NucleiDataset(CustomDataset):
    """Cell nuclei in microscopy images: background and nucleus.

    Source: 2018 Data Science Bowl, stage 1 (Broad Bioimage Benchmark Collection BBBC038).
    """

    img_suffix = ('.jpg', '.png')
    CLASSES = ('background', 'nucleus')
    PALETTE = ((0, 0, 0), (0, 220, 80))
