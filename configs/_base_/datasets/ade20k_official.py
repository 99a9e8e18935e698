"""ADE20K augmented as OCRNet's authors do: the long edge 0.5 to 2.1 of 520, crops of 520x520.

A crop that the image does not fill is filled with black, before normalisation and before flipping;
colours stay as they are. Images are tested with a short edge of 520.
"""

dataset_type = 'ADE20KDataset'
data_root = 'data/ade/ADEChallengeData2016'
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
crop_size = (520, 520)  # (height, width)
train_scales = [(52 * tenths,) * 2 for tenths in range(5, 22)]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', img_scale=train_scales, multiscale_mode='value'),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='Pad', size=crop_size, pad_val=0, seg_pad_val=255),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(5200, 520),  # (width, height): short edge of 520, in effect any long one
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
    img_dir='images/training',
    ann_dir='annotations/training',
    pipeline=train_pipeline,
)
val = dict(
    type=dataset_type,
    data_root=data_root,
    img_dir='images/validation',
    ann_dir='annotations/validation',
    pipeline=test_pipeline,
)
data = dict(samples_per_gpu=4, workers_per_gpu=4, train=train, val=val, test=val)
del train, val, train_pipeline, test_pipeline
