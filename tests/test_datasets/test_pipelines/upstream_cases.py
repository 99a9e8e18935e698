"""Transforms whose results are compared with MMSegmentation's, and how to run them.

`tests/data/upstream_transforms.npz` holds what MMSegmentation 0.30 (with MMCV 1.7.2, OpenCV
4.11.0, numpy 1.26) gave for these cases; `tests/data/make_upstream_transforms.py` wrote it.
"""

import numpy as np

HEIGHT, WIDTH = 26, 36

# name: (configs of the transforms, seeds of numpy's global generator)
CASES = {
    'resize_ratio': ([dict(type='Resize', img_scale=(60, 40), ratio_range=(0.5, 2.0))], 3),
    'resize_own_size': ([dict(type='Resize', ratio_range=(0.5, 2.0))], 2),
    'resize_range': (
        [dict(type='Resize', img_scale=[(40, 20), (80, 60)], multiscale_mode='range')],
        3,
    ),
    'resize_value': (
        [dict(type='Resize', img_scale=[(40, 20), (80, 60), (33, 33)], multiscale_mode='value')],
        3,
    ),
    'resize_stretch': ([dict(type='Resize', img_scale=(31, 67), keep_ratio=False)], 1),
    'resize_min_size': ([dict(type='Resize', img_scale=(40, 20), min_size=50)], 1),
    'resize_crop': (
        [
            dict(type='Resize', img_scale=(60, 40), ratio_range=(0.5, 2.0)),
            dict(type='RandomCrop', crop_size=(16, 20), cat_max_ratio=0.4),
        ],
        8,
    ),
    'crop': ([dict(type='RandomCrop', crop_size=(16, 20))], 2),
    'crop_varied': ([dict(type='RandomCrop', crop_size=(10, 12), cat_max_ratio=0.3)], 6),
    'crop_larger': ([dict(type='RandomCrop', crop_size=(60, 20), cat_max_ratio=0.75)], 2),
    'flip': ([dict(type='RandomFlip', prob=0.5)], 3),
    'flip_vertical': ([dict(type='RandomFlip', prob=0.5, direction='vertical')], 3),
    'pad': ([dict(type='Pad', size=(40, 50))], 1),
    'pad_divisor': ([dict(type='Pad', size_divisor=32, seg_pad_val=7)], 1),
    'pad_colours': ([dict(type='Pad', size=(40, 50), pad_val=(1, 2, 3))], 1),
    'normalize': (
        [dict(type='Normalize', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])],
        1,
    ),
    'normalize_bgr': (
        [dict(type='Normalize', mean=[1.5, 2.5, 3.5], std=[7.0, 11.0, 13.0], to_rgb=False)],
        1,
    ),
    'photometric': ([dict(type='PhotoMetricDistortion')], 12),
    'photometric_strong': (
        [
            dict(
                type='PhotoMetricDistortion',
                brightness_delta=90,
                contrast_range=(0.1, 3.0),
                saturation_range=(0.0, 4.0),
                hue_delta=80,
            )
        ],
        12,
    ),
    'rotate': ([dict(type='RandomRotate', prob=0.7, degree=30.0)], 4),
    'rotate_bound': (
        [dict(type='RandomRotate', prob=1.0, degree=(10.0, 80.0), auto_bound=True)],
        2,
    ),
    'rotate_center': (
        [dict(type='RandomRotate', prob=1.0, degree=20, center=(5, 9), seg_pad_val=0)],
        2,
    ),
    'cutout': (
        [dict(type='RandomCutOut', prob=0.8, n_holes=(1, 4), cutout_shape=[(4, 9), (8, 3)])],
        4,
    ),
    'cutout_ratio': (
        [
            dict(
                type='RandomCutOut',
                prob=1.0,
                n_holes=2,
                cutout_ratio=(0.3, 0.5),
                fill_in=(9, 8, 7),
                seg_fill_in=255,
            )
        ],
        2,
    ),
    'clahe': ([dict(type='CLAHE', clip_limit=3.0, tile_grid_size=(4, 4))], 1),
    'gamma': ([dict(type='AdjustGamma', gamma=1.7)], 1),
    'grey': ([dict(type='RGB2Gray')], 1),
    'grey_one_channel': ([dict(type='RGB2Gray', out_channels=1, weights=(0.2, 0.3, 0.5))], 1),
    'rerange': ([dict(type='Rerange', min_value=-1, max_value=2.5)], 1),
    'seg_rescale': ([dict(type='SegRescale', scale_factor=0.5)], 1),
    'multiple': ([dict(type='ResizeToMultiple', size_divisor=32)], 1),
    'multiple_cubic': (
        [dict(type='ResizeToMultiple', size_divisor=20, interpolation='bicubic')],
        1,
    ),
    'training': (
        [
            dict(type='Resize', img_scale=(60, 40), ratio_range=(0.5, 2.0)),
            dict(type='RandomCrop', crop_size=(20, 28), cat_max_ratio=0.75),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PhotoMetricDistortion'),
            dict(
                type='Normalize',
                mean=[123.675, 116.28, 103.53],
                std=[58.395, 57.12, 57.375],
                to_rgb=True,
            ),
            dict(type='Pad', size=(20, 28), pad_val=0, seg_pad_val=255),
        ],
        6,
    ),
}

# Written by any of them; compared when MMSegmentation wrote them.
META_KEYS = (
    'scale', 'scale_factor', 'img_shape', 'pad_shape', 'keep_ratio', 'flip', 'flip_direction',
    'pad_fixed_size', 'pad_size_divisor',
)  # fmt: skip


def make_sample() -> dict:
    """Return a sample as loading leaves it: a picture of blobs and its label of 4 classes."""
    rng = np.random.default_rng(0)
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    img = np.stack([120 + 100 * np.sin(xx / a + yy / b) for a, b in ((5, 9), (7, 4), (11, 6))], -1)
    img = np.clip(img + rng.normal(0, 12, img.shape), 0, 255).astype(np.uint8)
    label = ((xx // 11 + yy // 13) % 4).astype(np.uint8)
    label[:5, :9] = 255
    return dict(
        img=img,
        gt_semantic_seg=label,
        seg_fields=['gt_semantic_seg'],
        img_shape=img.shape,
        ori_shape=img.shape,
        pad_shape=img.shape,
        scale_factor=1.0,
    )
