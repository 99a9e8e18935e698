"""A tiny data set on disk, for the tests of data sets and loaders."""

from pathlib import Path

import cv2
import numpy as np

CLASSES = ('ground', 'wall', 'sky')
SIZE = (20, 30)
TRAIN = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomCrop', crop_size=(12, 16), cat_max_ratio=0.9),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Normalize', mean=[100] * 3, std=[50] * 3),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg'], meta_keys=['filename']),
]
TEST = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(30, 20),
        flip=True,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='RandomFlip'),
            dict(type='Normalize', mean=[100] * 3, std=[50] * 3),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img'], meta_keys=['filename', 'flip', 'ori_shape']),
        ],
    ),
]


def write_images(root: Path, count: int = 6, folder: str = 'train', first: int = 0) -> None:
    """Write img/FOLDER/imageN.jpg and ann/FOLDER/imageN.png, of three classes."""
    for kind in ('img', 'ann'):
        (root / kind / folder).mkdir(parents=True, exist_ok=True)
    for i in range(first, first + count):
        rng = np.random.default_rng(i)
        img = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        label = rng.integers(0, 3, SIZE, dtype=np.uint8)
        cv2.imwrite(str(root / 'img' / folder / f'image{i}.jpg'), img)
        cv2.imwrite(str(root / 'ann' / folder / f'image{i}.png'), label)


def config(root: Path, **changes: object) -> dict:
    """Return the config of a data set of `write_images`."""
    cfg = dict(
        type='CustomDataset',
        data_root=str(root),
        img_dir='img/train',
        ann_dir='ann/train',
        classes=CLASSES,
        pipeline=TEST if changes.get('test_mode') else TRAIN,
    )
    return {**cfg, **changes}
