"""Configs of the models in tests/data/origins."""

_LN = dict(type='LN', eps=1e-5)
_HEAD = dict(num_classes=3, norm_cfg=dict(type='BN'), align_corners=False)


def _upernet(backbone, widths):
    return dict(
        type='EncoderDecoder',
        backbone=backbone,
        decode_head=dict(
            type='UPerHead',
            in_channels=widths,
            in_index=[0, 1, 2, 3],
            channels=4,
            pool_scales=(1, 2),
            **_HEAD,
        ),
        auxiliary_head=dict(
            type='FCNHead',
            in_channels=widths[2],
            in_index=2,
            channels=4,
            num_convs=1,
            concat_input=False,
            **_HEAD,
        ),
    )


def segformer():
    return dict(
        type='EncoderDecoder',
        backbone=dict(
            type='MixVisionTransformer',
            embed_dims=4,
            num_layers=[1, 2, 1, 1],
            num_heads=[1, 2, 3, 4],
            sr_ratios=[4, 2, 1, 1],
            mlp_ratio=2,
            norm_cfg=_LN,
        ),
        decode_head=dict(
            type='SegformerHead',
            in_channels=[4, 8, 12, 16],
            in_index=[0, 1, 2, 3],
            channels=6,
            plain_projections=True,
            **_HEAD,
        ),
    )


def upernet_swin():
    backbone = dict(
        type='SwinTransformer',
        embed_dims=4,
        depths=[1, 2, 1, 1],
        num_heads=[1, 2, 2, 4],
        window_size=3,
        mlp_ratio=2,
    )
    return _upernet(backbone, [4, 8, 16, 32])


def upernet_convnext():
    backbone = dict(
        type='mmcls.ConvNeXt',
        arch=dict(depths=[1, 1, 2, 1], channels=[4, 6, 8, 10]),
        out_indices=[0, 1, 2, 3],
        gap_before_final_norm=False,
        downsample_norm_cfg=dict(type='LN2d', eps=1e-6),
    )
    return _upernet(backbone, [4, 6, 8, 10])
