"""LIP."""

from msseg.datasets.builder import DATASETS
from msseg.datasets.custom import CustomDataset


@DATASETS.register_module()
class LIPDataset(CustomDataset):
    """LIP (Look Into Person), parts of people, 20 classes with the background.

    Left and right limbs are classes of their own: a mirrored image has them exchanged, see
    ``swap_seg_labels`` of `RandomFlip` and of ``test_cfg``.

    Source: "Look into Person" (Gong et al., 2017); MMSegmentation 1.x ``LIPDataset``.
    """

    CLASSES = (
        'Background', 'Hat', 'Hair', 'Glove', 'Sunglasses', 'UpperClothes', 'Dress', 'Coat',
        'Socks', 'Pants', 'Jumpsuits', 'Scarf', 'Skirt', 'Face', 'Left-arm', 'Right-arm',
        'Left-leg', 'Right-leg', 'Left-shoe', 'Right-shoe',
    )  # fmt: skip
    PALETTE = (
        (0, 0, 0), (128, 0, 0), (255, 0, 0), (0, 85, 0), (170, 0, 51), (255, 85, 0), (0, 0, 85),
        (0, 119, 221), (85, 85, 0), (0, 85, 85), (85, 51, 0), (52, 86, 128), (0, 128, 0),
        (0, 0, 255), (51, 170, 221), (0, 255, 255), (85, 255, 170), (170, 255, 85), (255, 255, 0),
        (255, 170, 0),
    )  # fmt: skip
