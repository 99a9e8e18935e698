"""PaddleSeg's recipe for OCRNet on Cityscapes: HRNet-W48, 160,000 iterations.

Paper: Segmentation Transformer: Object-Contextual Representations for Semantic Segmentation,
    https://arxiv.org/abs/1909.11065
Command: python tools/train.py configs/ocrnet/ocrnet_hr48_512x1024_160k_cityscapes-paddleseg.py
Hardware: 4 devices with 2 images each, as upstream.
Expected: mIoU 82.15 on the validation set, 83.02 with scales and flip. That is what PaddleSeg
    reports for its own code and its own weights; not measured here.
Differences from MMSegmentation's ocrnet_hr48_512x1024_160k_cityscapes:
    - the rate falls to 0, not to 1e-4; weight decay 4e-5
    - the loss is the mean over valid pixels
    - scales 0.5 to 2 in steps of 0.25; no limit on a class's share of a crop
    - mean and deviation 127.5 for every channel, padding of that grey
    - biases in the convolutions that open the heads; whole channels dropped (0.1) after the OCR
      head's last 1x1 convolution
    - initialisation: deviation 0.001
Not as there: it starts from weights distilled with unlabelled images (SSLD), which reportedly give
    0.44 more; contrast there is around the image's mean, besides brightness, and padding is
    changed with the colours; several scales are averaged as logits there, as probabilities here.
"""

_base_ = [
    '../_base_/models/ocrnet_hr48.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_160k.py',
]
init_cfg = dict(type='Normal', std=0.001, layer='Conv2d')
model = dict(
    backbone=dict(init_cfg=init_cfg),
    decode_head={
        '*': dict(conv_bias=True, init_cfg=init_cfg, loss_decode=dict(avg_non_ignore=True)),
        1: dict(dropout_ratio=0.1),
    },
)
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
optimizer = dict(weight_decay=4e-5)
lr_config = dict(min_lr=0.0)
del init_cfg, normalise
