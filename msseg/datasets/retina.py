"""Vessels of retinas: DRIVE, STARE, CHASE DB1 and HRF."""

from msseg.datasets.builder import DATASETS
from msseg.datasets.custom import CustomDataset


class _RetinaDataset(CustomDataset):
    img_suffix = '.png'
    CLASSES = ('background', 'vessel')
    PALETTE = ((120, 120, 120), (6, 230, 230))


@DATASETS.register_module()
class DRIVEDataset(_RetinaDataset):
    """DRIVE, 2 classes, with the first observer's labels.

    Files are those of ``tools/convert_datasets/drive.py``.

    Source: "Ridge-based vessel segmentation in color images of the retina" (Staal et al., 2004);
        MMSegmentation 0.30 ``DRIVEDataset``.
    """

    seg_map_suffix = '_manual1.png'


@DATASETS.register_module()
class STAREDataset(_RetinaDataset):
    """STARE, 2 classes, with Adam Hoover's labels.

    Files are those of ``tools/convert_datasets/stare.py``.

    Source: "Locating blood vessels in retinal images by piecewise threshold probing of a matched
        filter response" (Hoover et al., 2000); MMSegmentation 0.30 ``STAREDataset``.
    """

    seg_map_suffix = '.ah.png'


@DATASETS.register_module()
class ChaseDB1Dataset(_RetinaDataset):
    """CHASE DB1, 2 classes, with the first observer's labels.

    Files are those of ``tools/convert_datasets/chase_db1.py``.

    Source: "An ensemble classification-based approach applied to retinal blood vessel
        segmentation" (Fraz et al., 2012); MMSegmentation 0.30 ``ChaseDB1Dataset``.
    """

    seg_map_suffix = '_1stHO.png'


@DATASETS.register_module()
class HRFDataset(_RetinaDataset):
    """HRF, 2 classes.

    Files are those of ``tools/convert_datasets/hrf.py``.

    Source: "Robust vessel segmentation in fundus images" (Budai et al., 2013); MMSegmentation 0.30
        ``HRFDataset``.
    """
