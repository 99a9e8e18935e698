"""UPerNet on ResNetV1c-50, whose last map has a thirty-second of the image's size.

Paper: Unified Perceptual Parsing for Scene Understanding, https://arxiv.org/abs/1807.10221
"""

_base_ = './resnet50_v1c_d8.py'
model = dict(
    backbone=dict(dilations=(1, 1, 1, 1), strides=(1, 2, 2, 2)),
    decode_head=dict(
        type='UPerHead',
        in_channels=[256, 512, 1024, 2048],
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 3, 6),
        channels=512,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg={{_base_.norm_cfg}},
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
)
