"""FCN head on HRNet-W18.

Paper: Deep High-Resolution Representation Learning for Visual Recognition,
https://arxiv.org/abs/1908.07919
"""

_base_ = './hrnet_w18.py'
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead',
        in_channels=[18, 36, 72, 144],
        in_index=(0, 1, 2, 3),
        input_transform='resize_concat',
        channels=18 + 36 + 72 + 144,
        kernel_size=1,
        num_convs=1,
        concat_input=False,
        dropout_ratio=-1,
        num_classes=19,
        norm_cfg={{_base_.norm_cfg}},
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
)
