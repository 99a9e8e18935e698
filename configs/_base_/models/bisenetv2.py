"""BiSeNetV2 with an FCN head and four auxiliary ones.

Paper: BiSeNet V2: Bilateral Network with Guided Aggregation for Real-time Semantic Segmentation,
https://arxiv.org/abs/2004.02147
"""

norm_cfg = dict(type='SyncBN', requires_grad=True)
common = dict(
    type='FCNHead',
    num_classes=19,
    norm_cfg=norm_cfg,
    concat_input=False,
    align_corners=False,
    loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
)
model = dict(
    type='EncoderDecoder',
    pretrained=None,
    backbone=dict(
        type='BiSeNetV2',
        detail_channels=(64, 64, 128),
        semantic_channels=(16, 32, 64, 128),
        semantic_expansion_ratio=6,
        bga_channels=128,
        out_indices=(0, 1, 2, 3, 4),
        init_cfg=None,
        align_corners=False,
    ),
    decode_head=dict(
        **common, in_channels=128, in_index=0, channels=1024, num_convs=1, dropout_ratio=0.1
    ),
    auxiliary_head=[
        dict(**common, in_channels=16, in_index=1, channels=16, num_convs=2),
        dict(**common, in_channels=32, in_index=2, channels=64, num_convs=2),
        dict(**common, in_channels=64, in_index=3, channels=256, num_convs=2),
        dict(**common, in_channels=128, in_index=4, channels=1024, num_convs=2),
    ],
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
del common
