"""Images, labels and a config on which the self-test trains; no framework is needed."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from msseg.checks.selftest.reference import IGNORED, SIZES, read_reference

CLASSES = ('ground', 'disc', 'square')
_NUM_EACH = 3
_DEEPLAB = 'DeepLabV3+ on ResNet'
CROP = (64, 64)
ITERS = 4


def paint(folder: Path, sizes: tuple[tuple[int, int], ...] = SIZES) -> list[Path]:
    """Write images of discs and squares below ``images`` and labels below ``labels``.

    Args:
        folder: It is made.
        sizes: (h, w), of each there are three images.

    Returns:
        The images, sorted.
    """
    rng = np.random.default_rng(0)
    for name in ('images', 'labels'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    paths = []
    for size in sizes * _NUM_EACH:
        image = rng.integers(40, 90, (*size, 3)).astype(np.uint8)
        label = np.zeros(size, np.uint8)
        radius = min(size) // 5
        x, y = (int(rng.integers(radius, side - radius)) for side in size[::-1])
        cv2.rectangle(label, (x, y), (x + radius, y + radius), 2, -1)
        x, y = (int(rng.integers(radius, side - radius)) for side in size[::-1])
        cv2.circle(label, (x, y), radius, 1, -1)
        image[label > 0] += 40 * label[label > 0, None] + 40
        label[:2] = IGNORED
        path = folder / 'images' / f'{len(paths)}.png'
        cv2.imwrite(str(path), image)
        cv2.imwrite(str(folder / 'labels' / path.name), label)
        paths.append(path)
    return paths


def make_config(data: Path, crop: tuple[int, int] = CROP) -> dict[str, Any]:
    """Return a config that trains DeepLabV3+ for `ITERS` iterations on what `paint` has written."""
    norm = {'type': 'Normalize', 'mean': [90.0] * 3, 'std': [40.0] * 3, 'to_rgb': True}
    train = [
        {'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations'},
        {'type': 'Resize', 'ratio_range': [0.8, 1.5]},
        {'type': 'RandomCrop', 'crop_size': list(crop)}, {'type': 'RandomFlip', 'prob': 0.5},
        {'type': 'PhotoMetricDistortion'}, norm,
        {'type': 'Pad', 'size': list(crop), 'seg_pad_val': IGNORED},
        {'type': 'DefaultFormatBundle'},
        {'type': 'Collect', 'keys': ['img', 'gt_semantic_seg']},
    ]  # fmt: skip
    views = [norm, {'type': 'ImageToTensor', 'keys': ['img']}, {'type': 'Collect', 'keys': ['img']}]
    test = [
        {'type': 'LoadImageFromFile'},
        {'type': 'MultiScaleFlipAug', 'img_ratios': [1.0], 'flip': False, 'transforms': views},
    ]
    dataset = {
        'type': 'CustomDataset', 'data_root': str(data), 'img_dir': 'images',
        'ann_dir': 'labels', 'img_suffix': '.png', 'classes': list(CLASSES),
        'palette': [[0, 0, 0], [255, 200, 0], [0, 200, 255]],
    }  # fmt: skip
    model = json.loads(json.dumps(read_reference()[_DEEPLAB]['model']).replace('"BN"', '"SyncBN"'))
    return {
        'model': {**model, 'pretrained': None, 'train_cfg': {}, 'test_cfg': {'mode': 'whole'}},
        'data': {
            'samples_per_gpu': 2, 'workers_per_gpu': 1,
            **{
                split: {**copy.deepcopy(dataset), 'pipeline': train if split == 'train' else test}
                for split in ('train', 'val', 'test')
            },
        },
        'optimizer': {'type': 'SGD', 'lr': 0.05, 'momentum': 0.9, 'weight_decay': 5e-4},
        'optimizer_config': {},
        'lr_config': {'policy': 'poly', 'power': 0.9, 'min_lr': 1e-4, 'by_epoch': False},
        'runner': {'type': 'IterBasedRunner', 'max_iters': ITERS},
        'checkpoint_config': {'interval': ITERS // 2, 'by_epoch': False},
        'evaluation': {'interval': ITERS, 'by_epoch': False, 'metric': 'mIoU'},
        'log_config': {'interval': 1, 'hooks': [{'type': 'TextLoggerHook', 'by_epoch': False}]},
    }  # fmt: skip


def mean_iou(predicted: list[np.ndarray], labels: list[np.ndarray]) -> float:
    """Return the mean IoU of the classes, counted pixel by pixel over all images."""
    counts = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
    for own, true in zip(predicted, labels, strict=True):
        valid = true != IGNORED
        np.add.at(counts, (true[valid], own[valid]), 1)
    hits = counts.diagonal()
    return float(np.mean(hits / (counts.sum(0) + counts.sum(1) - hits)))
