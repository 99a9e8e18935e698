"""CamVid, 11 classes, at half size (480x360), in crops of 352x352.

``tools/convert_datasets/camvid.py`` makes the folders images/ and annotations/.
"""

dataset_type = 'CamVidDataset'
data_root = 'data/camvid'
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
img_scale = (480, 360)  # (width, height)
crop_size = (352, 352)  # (height, width)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', img_scale=img_scale, ratio_range=(0.5, 2.0)),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size=crop_size, pad_val=0, seg_pad_val=255),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=img_scale,
        flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='RandomFlip'),
            dict(type='Normalize', **img_norm_cfg),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ],
    ),
]
train = dict(
    type=dataset_type,
    data_root=data_root,
    img_dir='images/train',
    ann_dir='annotations/train',
    pipeline=train_pipeline,
)
val = dict(
    type=dataset_type,
    data_root=data_root,
    img_dir='images/val',
    ann_dir='annotations/val',
    pipeline=test_pipeline,
)
data = dict(samples_per_gpu=8, workers_per_gpu=2, train=train, val=val, test=val)
del train, val
