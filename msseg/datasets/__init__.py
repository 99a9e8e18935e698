"""Data sets, the transforms of their samples, and the loaders that make batches of them."""

from msseg.datasets.ade20k import ADE20KDataset
from msseg.datasets.builder import DATASETS, PIPELINES, build_dataloader, build_dataset
from msseg.datasets.camvid import CamVidDataset
from msseg.datasets.cityscapes import CityscapesDataset
from msseg.datasets.class_balanced import ClassBalancedDataset
from msseg.datasets.coco_stuff import COCOStuffDataset
from msseg.datasets.custom import CustomDataset, check_labels
from msseg.datasets.dataset_wrappers import (
    ConcatDataset,
    MultiImageMixDataset,
    RepeatDataset,
)
from msseg.datasets.eval_loader import EvalLoader, EvalSample
from msseg.datasets.face import FaceOccludedDataset
from msseg.datasets.isaid import iSAIDDataset
from msseg.datasets.isprs import ISPRSDataset
from msseg.datasets.lip import LIPDataset
from msseg.datasets.loveda import LoveDADataset
from msseg.datasets.night_streets import DarkZurichDataset, NightDrivingDataset
from msseg.datasets.nuclei import NucleiDataset
from msseg.datasets.pascal_context import PascalContextDataset, PascalContextDataset59
from msseg.datasets.pascal_voc import PascalVOCDataset
from msseg.datasets.pipelines import Compose
from msseg.datasets.potsdam import PotsdamDataset
from msseg.datasets.retina import ChaseDB1Dataset, DRIVEDataset, HRFDataset, STAREDataset
from msseg.datasets.train_loader import TrainBatch, TrainLoader
from msseg.datasets.yaml_dataset import YamlDataset

__all__ = [
    'DATASETS',
    'PIPELINES',
    'CamVidDataset',
    'CityscapesDataset',
    'Compose',
    'ConcatDataset',
    'CustomDataset',
    'MultiImageMixDataset',
    'NucleiDataset',
    'RepeatDataset',
    'EvalLoader',
    'EvalSample',
    'TrainBatch',
    'TrainLoader',
    'ADE20KDataset',
    'COCOStuffDataset',
    'ChaseDB1Dataset',
    'ClassBalancedDataset',
    'DRIVEDataset',
    'DarkZurichDataset',
    'FaceOccludedDataset',
    'HRFDataset',
    'iSAIDDataset',
    'ISPRSDataset',
    'LIPDataset',
    'LoveDADataset',
    'NightDrivingDataset',
    'PascalContextDataset',
    'PascalContextDataset59',
    'PascalVOCDataset',
    'PotsdamDataset',
    'STAREDataset',
    'YamlDataset',
    'build_dataloader',
    'build_dataset',
    'check_labels',
]
