"""PASCAL-Context, with the background and without."""

from msseg.datasets.ade20k import ADE20KDataset
from msseg.datasets.builder import DATASETS
from msseg.datasets.custom import CustomDataset


@DATASETS.register_module()
class PascalContextDataset(CustomDataset):
    """PASCAL-Context, 60 classes, the first of which is the background.

    Source: "The Role of Context for Object Detection and Semantic Segmentation in the Wild"
        (Mottaghi et al., 2014); MMSegmentation 0.30 ``PascalContextDataset``.
    """

    needs_split = True
    CLASSES = (
        'background', 'aeroplane', 'bag', 'bed', 'bedclothes', 'bench', 'bicycle', 'bird', 'boat',
        'book', 'bottle', 'building', 'bus', 'cabinet', 'car', 'cat', 'ceiling', 'chair', 'cloth',
        'computer', 'cow', 'cup', 'curtain', 'dog', 'door', 'fence', 'floor', 'flower', 'food',
        'grass', 'ground', 'horse', 'keyboard', 'light', 'motorbike', 'mountain', 'mouse', 'person',
        'plate', 'platform', 'pottedplant', 'road', 'rock', 'sheep', 'shelves', 'sidewalk', 'sign',
        'sky', 'snow', 'sofa', 'table', 'track', 'train', 'tree', 'truck', 'tvmonitor', 'wall',
        'water', 'window', 'wood',
    )  # fmt: skip
    PALETTE = ADE20KDataset.PALETTE[:60]


@DATASETS.register_module()
class PascalContextDataset59(CustomDataset):
    """PASCAL-Context, 59 classes; the background does not count.

    Source: As `PascalContextDataset`; MMSegmentation 0.30 ``PascalContextDataset59``.
    """

    needs_split = True
    reduce_zero_label = True
    CLASSES = PascalContextDataset.CLASSES[1:]
    PALETTE = PascalContextDataset.PALETTE[1:]
