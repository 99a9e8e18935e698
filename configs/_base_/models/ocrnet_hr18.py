"""OCRNet on HRNet-W18: an auxiliary FCN head, whose prediction the OCR head starts from.

Paper: Segmentation Transformer: Object-Contextual Representations for Semantic Segmentation,
https://arxiv.org/abs/1909.11065
"""

_base_ = './hrnet_w18.py'
inputs = dict(
    in_channels=[18, 36, 72, 144],
    in_index=(0, 1, 2, 3),
    input_transform='resize_concat',
)
common = dict(
    dropout_ratio=-1,
    num_classes=19,
    norm_cfg={{_base_.norm_cfg}},
    align_corners=False,
)
model = dict(
    type='CascadeEncoderDecoder',
    num_stages=2,
    decode_head=[
        dict(
            type='FCNHead',
            **inputs,
            channels=18 + 36 + 72 + 144,
            kernel_size=1,
            num_convs=1,
            concat_input=False,
            **common,
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=0.4),
        ),
        dict(
            type='OCRHead',
            **inputs,
            channels=512,
            ocr_channels=256,
            **common,
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
        ),
    ],
)
del inputs, common
