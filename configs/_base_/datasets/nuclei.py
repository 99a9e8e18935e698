"""The demo's microscopy images, 2 classes, at their own size, in crops of 128x128."""

dataset_type = 'NucleiDataset'
data_root = 'demo/nuclei'
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
crop_size = (128, 128)  # (height, width)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', ratio_range=(0.5, 2.0)),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.95),
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
        img_ratios=[1.0],
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
