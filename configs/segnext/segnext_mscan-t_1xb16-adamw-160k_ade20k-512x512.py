"""SegNeXt-T, ADE20K, crops of 512x512, 160,000 iterations.

Paper: SegNeXt: Rethinking Convolutional Attention Design for Semantic Segmentation,
    https://arxiv.org/abs/2209.08575
Command: python tools/train.py configs/segnext/segnext_mscan-t_1xb16-adamw-160k_ade20k-512x512.py
Hardware: 1 device with 16 images; upstream used 17.88 GB.
Expected: mIoU 41.50 on the validation set, 42.59 with six scales and flip. That is what
    MMSegmentation 1.2.2 reports for the same settings in PyTorch; not measured here.
"""

_base_ = [
    '../_base_/models/segnext_mscan-t.py',
    '../_base_/datasets/ade20k.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_160k.py',
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(2048, 512),
        flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='RandomFlip'),
            dict(
                type='Normalize',
                mean=[123.675, 116.28, 103.53],
                std=[58.395, 57.12, 57.375],
                to_rgb=True,
            ),
            dict(type='Pad', size_divisor=32, pad_val=0, seg_pad_val=255),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ],
    ),
]
data = dict(samples_per_gpu=16, val=dict(pipeline=test_pipeline), test=dict(pipeline=test_pipeline))
del test_pipeline
optimizer = dict(
    _delete_=True,
    type='AdamW',
    lr=0.00006,
    betas=(0.9, 0.999),
    weight_decay=0.01,
    paramwise_cfg=dict(
        custom_keys={
            'norm': dict(decay_mult=0.0),
            'head': dict(lr_mult=10.0),
        }
    ),
)
lr_config = dict(
    _delete_=True,
    policy='poly',
    warmup='linear',
    warmup_iters=1500,
    warmup_ratio=1e-6,
    begin=1500,
    power=1.0,
    min_lr=0.0,
    by_epoch=False,
)
