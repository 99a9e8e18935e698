"""EfficientNet-Lite0 with the head of semantic FPN, without a neck, and without its own weights.

Papers: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks,
https://arxiv.org/abs/1905.11946; Panoptic Feature Pyramid Networks,
https://arxiv.org/abs/1901.02446
"""

norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    pretrained=None,
    backbone=dict(
        type='EfficientNetLite',
        arch='lite0',
        out_indices=[1, 2, 4, 6],
        norm_cfg=dict(type='BN', eps=0.001, requires_grad=True),
    ),
    decode_head=dict(
        type='FPNHead',
        in_channels=[24, 40, 112, 320],
        in_index=[0, 1, 2, 3],
        feature_strides=[4, 8, 16, 32],
        channels=64,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
