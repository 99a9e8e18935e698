"""Transforms of samples, with MMSegmentation 0.30's names, arguments and result keys."""

from msseg.datasets.pipelines.adjust_gamma import AdjustGamma
from msseg.datasets.pipelines.band_distortion import BandDistortion
from msseg.datasets.pipelines.clahe import CLAHE
from msseg.datasets.pipelines.compose import Compose
from msseg.datasets.pipelines.formatting import (
    Collect,
    DefaultFormatBundle,
    ImageToTensor,
    ToTensor,
    Transpose,
)
from msseg.datasets.pipelines.loading import LoadAnnotations, LoadImageFromFile
from msseg.datasets.pipelines.multi_scale_flip_aug import MultiScaleFlipAug
from msseg.datasets.pipelines.normalize import Normalize
from msseg.datasets.pipelines.pad import Pad
from msseg.datasets.pipelines.photometric_distortion import PhotoMetricDistortion
from msseg.datasets.pipelines.random_crop import RandomCrop
from msseg.datasets.pipelines.random_cutout import RandomCutOut
from msseg.datasets.pipelines.random_flip import RandomFlip
from msseg.datasets.pipelines.random_mosaic import RandomMosaic
from msseg.datasets.pipelines.random_rotate import RandomRotate
from msseg.datasets.pipelines.rare_class_crop import RareClassCrop
from msseg.datasets.pipelines.rerange import Rerange
from msseg.datasets.pipelines.resize import Resize
from msseg.datasets.pipelines.resize_to_multiple import ResizeToMultiple
from msseg.datasets.pipelines.rgb2gray import RGB2Gray
from msseg.datasets.pipelines.seg_rescale import SegRescale
from msseg.datasets.pipelines.transform import get_rng, register_transform

__all__ = [
    'CLAHE',
    'AdjustGamma',
    'BandDistortion',
    'Collect',
    'Compose',
    'DefaultFormatBundle',
    'ImageToTensor',
    'LoadAnnotations',
    'LoadImageFromFile',
    'MultiScaleFlipAug',
    'Normalize',
    'Pad',
    'PhotoMetricDistortion',
    'RGB2Gray',
    'RandomCrop',
    'RareClassCrop',
    'RandomCutOut',
    'RandomFlip',
    'RandomMosaic',
    'RandomRotate',
    'Rerange',
    'Resize',
    'ResizeToMultiple',
    'SegRescale',
    'ToTensor',
    'Transpose',
    'get_rng',
    'register_transform',
]
