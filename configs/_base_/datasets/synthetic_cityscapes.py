"""The synthetic streets of tools/convert_datasets/synthetic_cityscapes.py, whole at 128x256.

Whole images and their own colours, unlike Cityscapes: a network that starts from nothing learns
them in minutes.
"""

_base_ = './cityscapes.py'
data_root = 'data/synthetic_cityscapes'
img_scale = (256, 128)  # (width, height)
crop_size = (128, 256)  # (height, width)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', img_scale=img_scale, ratio_range=(0.9, 1.3)),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Normalize', **{{_base_.img_norm_cfg}}),
    dict(type='Pad', size=crop_size, pad_val=0, seg_pad_val=255),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]
data = dict(
    samples_per_gpu=8,
    train=dict(data_root=data_root, pipeline=train_pipeline),
    val=dict(data_root=data_root, pipeline={1: dict(img_scale=img_scale)}),
    test=dict(data_root=data_root, pipeline={1: dict(img_scale=img_scale)}),
)
