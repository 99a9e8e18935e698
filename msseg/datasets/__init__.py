"""Data sets, the transforms of their samples, and the loaders that make batches of them."""

from msseg.datasets.builder import DATASETS, PIPELINES, build_dataloader, build_dataset
from msseg.datasets.camvid import CamVidDataset
from msseg.datasets.cityscapes import CityscapesDataset
from msseg.datasets.custom import CustomDataset
from msseg.datasets.dataset_wrappers import ConcatDataset, RepeatDataset
from msseg.datasets.loader import TestLoader, TestSample, TrainBatch, TrainLoader
from msseg.datasets.nuclei import NucleiDataset
from msseg.datasets.pipelines import Compose

__all__ = [
    'DATASETS',
    'PIPELINES',
    'CamVidDataset',
    'CityscapesDataset',
    'Compose',
    'ConcatDataset',
    'CustomDataset',
    'NucleiDataset',
    'RepeatDataset',
    'TestLoader',
    'TestSample',
    'TrainBatch',
    'TrainLoader',
    'build_dataloader',
    'build_dataset',
]
