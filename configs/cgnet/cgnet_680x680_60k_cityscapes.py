"""CGNet, original colours, Cityscapes, crops of 680x680, 60,000 iterations.

Paper: CGNet: A Light-weight Context Guided Network for Semantic Segmentation,
    https://arxiv.org/abs/1811.08201
Command: python tools/train.py configs/cgnet/cgnet_680x680_60k_cityscapes.py
Hardware: 4 devices with 8 images each; upstream used 7.5 GB a card.
Expected: mIoU 65.63 on the validation set, 68.04 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""

_base_ = './cgnet_512x1024_60k_cityscapes.py'
crop_size = (680, 680)  # (height, width)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', img_scale=(2048, 1024), ratio_range=(0.5, 2.0)),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Normalize', **{{_base_.img_norm_cfg}}),
    dict(type='Pad', size=crop_size, pad_val=0, seg_pad_val=255),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]
data = dict(train=dict(pipeline=train_pipeline))
