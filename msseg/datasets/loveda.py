"""LoveDA."""

from msseg.datasets.builder import DATASETS
from msseg.datasets.custom import CustomDataset


@DATASETS.register_module()
class LoveDADataset(CustomDataset):
    """LoveDA, aerial images of towns and country, 7 classes.

    Its server takes class indices, so predictions are written as they are, though label files
    hold class i as i + 1.

    Source: "LoveDA: A Remote Sensing Land-Cover Dataset for Domain Adaptive Semantic
        Segmentation" (Wang et al., 2021); MMSegmentation 0.30 ``LoveDADataset``.
    """

    img_suffix = '.png'
    reduce_zero_label = True
    writes_label_values = False
    CLASSES = (
        'background', 'building', 'road', 'water', 'barren', 'forest', 'agricultural',
    )  # fmt: skip
    PALETTE = (
        (255, 255, 255), (255, 0, 0), (255, 255, 0), (0, 0, 255), (159, 129, 183), (0, 255, 0),
        (255, 195, 128),
    )  # fmt: skip
