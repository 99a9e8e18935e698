"""Cityscapes augmented as PaddleSeg does: scales 0.5 to 2 in steps of 0.25, crops of 512x1024.

Mean and deviation are 127.5 for every channel, padding is of that grey, and crops may hold one
class alone. Labels are labelTrainIds files in folders, as in cityscapes.py.
"""

_base_ = './cityscapes.py'
img_norm_cfg = dict(mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True)
crop_size = (512, 1024)  # (height, width)
train_scales = [(512 * quarters, 256 * quarters) for quarters in range(2, 9)]
normalise = dict(transforms={2: img_norm_cfg})
data = dict(
    train=dict(
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='Resize', img_scale=train_scales, multiscale_mode='value'),
            dict(type='RandomCrop', crop_size=crop_size),
            dict(type='RandomFlip', prob=0.5),
            dict(
                type='PhotoMetricDistortion',
                brightness_delta=0,
                contrast_range=(0.6, 1.4),
                saturation_range=(0.6, 1.4),
            ),
            dict(type='Normalize', **img_norm_cfg),
            dict(type='Pad', size=crop_size, pad_val=0, seg_pad_val=255),
            dict(type='DefaultFormatBundle'),
            dict(type='Collect', keys=['img', 'gt_semantic_seg']),
        ]
    ),
    val=dict(pipeline={1: normalise}),
    test=dict(pipeline={1: normalise}),
)
del normalise
