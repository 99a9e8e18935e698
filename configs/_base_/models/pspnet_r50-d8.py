"""PSPNet on ResNetV1c-50.

Paper: Pyramid Scene Parsing Network, https://arxiv.org/abs/1612.01105
"""

_base_ = './resnet50_v1c_d8.py'
model = dict(
    decode_head=dict(
        type='PSPHead',
        in_channels=2048,
        in_index=3,
        channels=512,
        pool_scales=(1, 2, 3, 6),
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg={{_base_.norm_cfg}},
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
)
