"""PASCAL VOC."""

from msseg.datasets.builder import DATASETS
from msseg.datasets.custom import CustomDataset


@DATASETS.register_module()
class PascalVOCDataset(CustomDataset):
    """PASCAL VOC 2012, 21 classes with the background.

    Source: "The PASCAL Visual Object Classes Challenge" (Everingham et al., 2010); MMSegmentation
        0.30 ``PascalVOCDataset``.
    """

    needs_split = True
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
