"""K-Net over an FCN on ResNetV1c-18, nuclei in microscopy images, 80 iterations.

The weights are random at the start.

Paper: K-Net: Towards Unified Image Segmentation, https://arxiv.org/abs/2106.14855
Command: python tools/train.py configs/demo/knet_r18_nuclei.py
Hardware: CPU, one core, some minutes.
Expected: not measured yet; see docs/results.md for networks of the same settings.
"""

_base_ = ['../_base_/datasets/nuclei.py', '../_base_/schedules/schedule_nuclei.py']
norm_cfg = dict(type='SyncBN', requires_grad=True)
common = dict(
    type='FCNHead',
    dropout_ratio=0.1,
    num_classes=2,
    norm_cfg=norm_cfg,
    align_corners=False,
)
loss_decode = dict(type='CrossEntropyLoss', use_sigmoid=False)
update = dict(
    type='KernelUpdateHead',
    num_classes=2,
    num_ffn_fcs=2,
    num_heads=4,
    num_mask_fcs=1,
    feedforward_channels=256,
    in_channels=64,
    out_channels=64,
    dropout=0.0,
    conv_kernel_size=1,
    ffn_act_cfg=dict(type='ReLU', inplace=True),
    with_ffn=True,
    feat_transform_cfg=dict(conv_cfg=dict(type='Conv2d'), act_cfg=None),
    kernel_updator_cfg=dict(
        type='KernelUpdator',
        in_channels=64,
        feat_channels=64,
        out_channels=64,
        act_cfg=dict(type='ReLU', inplace=True),
        norm_cfg=dict(type='LN'),
    ),
)
model = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='ResNetV1c',
        depth=18,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        dilations=(1, 1, 2, 4),
        strides=(1, 2, 1, 1),
        norm_cfg=norm_cfg,
        norm_eval=False,
        style='pytorch',
        contract_dilation=True,
    ),
    decode_head=dict(
        type='IterativeDecodeHead',
        num_stages=3,
        kernel_update_head=[update, update, update],
        kernel_generate_head=dict(
            **common,
            in_channels=512,
            in_index=3,
            channels=64,
            num_convs=2,
            concat_input=True,
            loss_decode=dict(**loss_decode, loss_weight=1.0),
        ),
    ),
    auxiliary_head=dict(
        **common,
        in_channels=256,
        in_index=2,
        channels=64,
        num_convs=1,
        concat_input=False,
        loss_decode=dict(**loss_decode, loss_weight=0.4),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
del norm_cfg, common, loss_decode, update
optimizer = dict(lr=0.0005)
optimizer_config = dict(grad_clip=dict(max_norm=1, norm_type=2))
