"""Occluded faces."""

from msseg.datasets.builder import DATASETS
from msseg.datasets.custom import CustomDataset


@DATASETS.register_module()
class FaceOccludedDataset(CustomDataset):
    """Faces behind hands and other objects, 2 classes; `split` names the images.

    Source: "Delving into high-quality synthetic face occlusion segmentation datasets" (Voo et al.,
        2022); MMSegmentation 0.30 ``FaceOccludedDataset``.
    """

    img_suffix = '.jpg'
    needs_split = True
    CLASSES = ('background', 'face')
    PALETTE = ((0, 0, 0), (128, 0, 0))
