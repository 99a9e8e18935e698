"""UPerNet on a small Swin Transformer, nuclei in microscopy images, 80 iterations.

The weights are random at the start.

Paper: Swin Transformer: Hierarchical Vision Transformer using Shifted Windows,
    https://arxiv.org/abs/2103.14030
Command: python tools/train.py configs/demo/upernet_swin-small_nuclei.py
Hardware: CPU, one core, some minutes.
Expected: not measured yet; see docs/results.md for networks of the same settings.
"""

_base_ = ['../_base_/datasets/nuclei.py', '../_base_/schedules/schedule_nuclei.py']
norm_cfg = dict(type='SyncBN', requires_grad=True)
loss_decode = dict(type='CrossEntropyLoss', use_sigmoid=False)
model = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='SwinTransformer',
        pretrain_img_size=224,
        embed_dims=48,
        patch_size=4,
        window_size=7,
        mlp_ratio=4,
        depths=[2, 2, 2, 2],
        num_heads=[3, 6, 12, 24],
        strides=(4, 2, 2, 2),
        out_indices=(0, 1, 2, 3),
        qkv_bias=True,
        patch_norm=True,
        drop_rate=0.0,
        attn_drop_rate=0.0,
        drop_path_rate=0.1,
        use_abs_pos_embed=False,
        act_cfg=dict(type='GELU'),
        norm_cfg=dict(type='LN', requires_grad=True),
    ),
    decode_head=dict(
        type='UPerHead',
        in_channels=[48, 96, 192, 384],
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 3, 6),
        channels=64,
        dropout_ratio=0.1,
        num_classes=2,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(**loss_decode, loss_weight=1.0),
    ),
    auxiliary_head=dict(
        type='FCNHead',
        in_channels=192,
        in_index=2,
        channels=64,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=2,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(**loss_decode, loss_weight=0.4),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
del norm_cfg, loss_decode
optimizer = dict(lr=0.0005)
