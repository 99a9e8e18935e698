"""SegFormer-B0, nuclei in microscopy images, 80 iterations from random weights.

Paper: SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers,
    https://arxiv.org/abs/2105.15203
Command: python tools/train.py configs/demo/segformer_b0_nuclei.py
Hardware: CPU, one core, some minutes.
Expected: mIoU 0.794 with runner.max_iters=200 (MMSegmentation: 0.806); see docs/results.md.
"""

_base_ = ['../_base_/datasets/nuclei.py', '../_base_/schedules/schedule_nuclei.py']
model = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='MixVisionTransformer',
        in_channels=3,
        embed_dims=32,
        num_stages=4,
        num_layers=[2, 2, 2, 2],
        num_heads=[1, 2, 5, 8],
        patch_sizes=[7, 3, 3, 3],
        sr_ratios=[8, 4, 2, 1],
        out_indices=(0, 1, 2, 3),
        mlp_ratio=4,
        qkv_bias=True,
        drop_rate=0.0,
        attn_drop_rate=0.0,
        drop_path_rate=0.1,
    ),
    decode_head=dict(
        type='SegformerHead',
        in_channels=[32, 64, 160, 256],
        in_index=[0, 1, 2, 3],
        channels=128,
        dropout_ratio=0.1,
        num_classes=2,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
optimizer = dict(lr=0.0005)
