"""Fast-SCNN with two auxiliary heads; each class has a sigmoid.

Paper: Fast-SCNN: Fast Semantic Segmentation Network, https://arxiv.org/abs/1902.04502
"""

norm_cfg = dict(type='SyncBN', requires_grad=True, momentum=0.01)
common = dict(num_classes=19, norm_cfg=norm_cfg, concat_input=False, align_corners=False)
auxiliary = dict(
    type='FCNHead',
    channels=32,
    num_convs=1,
    loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=0.4),
    **common,
)
model = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='FastSCNN',
        downsample_dw_channels=(32, 48),
        global_in_channels=64,
        global_block_channels=(64, 96, 128),
        global_block_strides=(2, 2, 1),
        global_out_channels=128,
        higher_in_channels=64,
        lower_in_channels=128,
        fusion_out_channels=128,
        out_indices=(0, 1, 2),
        norm_cfg=norm_cfg,
        align_corners=False,
    ),
    decode_head=dict(
        type='DepthwiseSeparableFCNHead',
        in_channels=128,
        in_index=-1,
        channels=128,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1),
        **common,
    ),
    auxiliary_head=[
        dict(**auxiliary, in_channels=128, in_index=-2),
        dict(**auxiliary, in_channels=64, in_index=-3),
    ],
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
del common, auxiliary
