"""Streets at night with Cityscapes' classes: Dark Zurich and Night Driving."""

from msseg.datasets.builder import DATASETS
from msseg.datasets.cityscapes import CityscapesDataset


@DATASETS.register_module()
class DarkZurichDataset(CityscapesDataset):
    """Dark Zurich, with Cityscapes' 19 classes.

    Source: "Guided curriculum model adaptation and uncertainty-aware evaluation for semantic
        nighttime image segmentation" (Sakaridis et al., 2019); MMSegmentation 0.30
        ``DarkZurichDataset``.
    """

    img_suffix = '_rgb_anon.png'
    seg_map_suffix = '_gt_labelTrainIds.png'


@DATASETS.register_module()
class NightDrivingDataset(CityscapesDataset):
    """Night Driving, with Cityscapes' 19 classes.

    Source: "Dark model adaptation: semantic image segmentation from daytime to nighttime" (Dai and
        Van Gool, 2018); MMSegmentation 0.30 ``NightDrivingDataset``.
    """

    img_suffix = '_leftImg8bit.png'
    seg_map_suffix = '_gtCoarse_labelTrainIds.png'
