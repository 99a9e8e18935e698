"""CamVid."""

from msseg.datasets.builder import DATASETS
from msseg.datasets.custom import CustomDataset


@DATASETS.register_module()
class CamVidDataset(CustomDataset):
    """CamVid, 11 classes; pixels of all others are 255 and do not count.

    Labels hold class indices: ``tools/convert_datasets/camvid.py`` makes them from the public
    downloads.

    Source: "Semantic object classes in video" (Brostow et al., 2009), the 11 groups of classes
        in the order of the SegNet tutorial's files.
    """

    img_suffix = ('.png', '.jpg')
    CLASSES = (
        'sky', 'building', 'pole', 'road', 'pavement', 'tree', 'sign', 'fence', 'car',
        'pedestrian', 'bicyclist',
    )  # fmt: skip
    PALETTE = (
        (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (0, 0, 192), (128, 128, 0),
        (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
    )  # fmt: skip
