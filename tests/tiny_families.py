"""One tiny model of each family, with which tests try the whole life of a model.

A new family needs one row in `FAMILIES`: by the name of MMSegmentation's folder of configs (with a
suffix for a second model), a model as that folder's config files write it, but of a few channels
and as few layers as the parts allow, so that a graph compiles within seconds::

    'nonlocal_net': Family(model(head('NonLocalHead', reduction=1), auxiliary_head=AUX)),

`model`, `head` and `RESNET` fill in what families have in common: a ResNet of two stages, whose
maps have 4 channels (1/4 of the image's size) and 8 (1/8). The decode head reads the second map,
and `AUX`, the usual auxiliary head, the first.

tests/test_export/test_families.py tries all rows, and so does tests/test_models/test_sgd_step.py,
for which the step of a new row has to be made where PyTorch is: tests/data/make_sgd_steps.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn
from mindspore.nn.utils import no_init_parameters

from msseg.models import build_segmentor
from tests.test_models.model_configs import tiny_hrnet, tiny_ocrnet

NUM_CLASSES = 3
BN = dict(type='BN', requires_grad=True)
RESNET = dict(
    type='ResNetV1c', depth=18, stem_channels=4, base_channels=4, num_stages=2,
    strides=(1, 2), dilations=(1, 1), out_indices=(0, 1), norm_cfg=BN,
)  # fmt: skip
FOUR_STAGES = dict(num_stages=4, strides=(1, 2, 2, 2), dilations=(1,) * 4, out_indices=(0, 1, 2, 3))


@dataclass(frozen=True)
class Family:
    """A model, and what cannot be done with it.

    Attributes:
        model: The config.
        size: The (h, w) of images that the model is tried with.
        other_size: Another one, of odd numbers where the model takes them.
        fixed_size: Why it cannot be exported for images of any size: some words of the message that
            refuses it. Empty: it can.
        tolerance: Largest difference between the exported file's logits and the network's, as a
            share of the largest logit; more than 1e-4 where rounding is amplified, with a comment.
    """

    model: dict[str, Any]
    size: tuple[int, int] = (64, 80)
    other_size: tuple[int, int] = (73, 97)
    fixed_size: str = ''
    tolerance: float = 1e-4


def model(decode_head: Any, backbone: dict | None = None, **options: Any) -> dict[str, Any]:
    """A segmentor on `RESNET` or another backbone."""
    backbone = RESNET if backbone is None else backbone
    kind = 'CascadeEncoderDecoder' if isinstance(decode_head, list) else 'EncoderDecoder'
    return dict(dict(type=kind, backbone=backbone, decode_head=decode_head), **options)


def head(kind: str, **options: Any) -> dict[str, Any]:
    """A head on the second map of `RESNET`."""
    defaults = dict(
        type=kind, in_channels=8, in_index=1, channels=4, num_classes=NUM_CLASSES, norm_cfg=BN
    )
    return {**defaults, **options}


def fcn(channels: int = 8, index: int = 1, **options: Any) -> dict[str, Any]:
    """An FCNHead of one convolution on a map."""
    options = dict(num_convs=1, concat_input=False, **options)
    return head('FCNHead', in_channels=channels, in_index=index, **options)


def lists(*channels: int) -> dict[str, Any]:
    """The inputs of a head that reads the first so many maps."""
    return dict(in_channels=list(channels), in_index=list(range(len(channels))))


def knet_stage(**options: Any) -> dict[str, Any]:
    """A stage of an IterativeDecodeHead on features of 8 channels."""
    updator = dict(type='KernelUpdator', in_channels=4, feat_channels=4, out_channels=4)
    defaults = dict(
        type='KernelUpdateHead', num_classes=NUM_CLASSES, num_heads=2, num_mask_fcs=1, dropout=0.2,
        feedforward_channels=12, in_channels=8, out_channels=8,
        feat_transform_cfg=dict(conv_cfg=dict(type='Conv2d'), act_cfg=None),
        kernel_updator_cfg=updator,
    )  # fmt: skip
    return {**defaults, **options}


AUX = fcn(4, 0, loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4))
_OHEM = dict(sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=100))
_SIGMOID = dict(loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True))
_UNET = dict(
    type='UNet', base_channels=2, num_stages=3, strides=(1, 1, 1), enc_num_convs=(1, 1, 1),
    dec_num_convs=(1, 1), downsamples=(True, True), enc_dilations=(1, 1, 1), dec_dilations=(1, 1),
    norm_cfg=BN,
)  # fmt: skip
_BISENET_V1 = dict(
    type='BiSeNetV1',
    backbone_cfg=dict(RESNET, type='ResNet', **FOUR_STAGES),
    spatial_channels=(4, 4, 4, 8),
    context_channels=(8, 16, 32),
    out_channels=8,
    norm_cfg=BN,
)
_BISENET_V2 = dict(
    type='BiSeNetV2',
    detail_channels=(4, 8),
    semantic_channels=(4, 4, 8),
    bga_channels=8,
    semantic_expansion_ratio=2,
    out_indices=(0, 1, 2, 3),
)
_STDC = dict(
    type='STDCContextPathNet',
    backbone_cfg=dict(
        type='STDCNet', stdc_type='STDCNet1', in_channels=3, channels=(4, 4, 16, 16, 32),
        bottleneck_type='cat', norm_cfg=BN, act_cfg=dict(type='ReLU'),
    ),
    last_in_channels=(32, 16),
    out_channels=8,
    ffm_cfg=dict(in_channels=24, out_channels=16, scale_factor=4),
)  # fmt: skip
_ICNET = dict(
    type='ICNet',
    backbone_cfg=dict(RESNET, **{**FOUR_STAGES, 'strides': (1, 2, 1, 1)}),
    layer_channels=(8, 32),
    light_branch_middle_channels=4,
    psp_out_channels=4,
    out_channels=(4, 6, 8),
    pool_scales=(1, 2),
    norm_cfg=BN,
)
_FAST_SCNN = dict(
    type='FastSCNN',
    downsample_dw_channels=(4, 4),
    global_in_channels=8,
    global_block_channels=(4, 8, 8),
    global_out_channels=8,
    higher_in_channels=8,
    lower_in_channels=8,
    fusion_out_channels=8,
    norm_cfg=BN,
)
_ERFNET = dict(
    type='ERFNet',
    enc_downsample_channels=(4, 8, 16),
    enc_stage_non_bottlenecks=(1, 2),
    enc_non_bottleneck_dilations=(2, 4),
    enc_non_bottleneck_channels=(8, 16),
    dec_upsample_channels=(8, 4),
    dec_stages_non_bottleneck=(1, 1),
    dec_non_bottleneck_channels=(8, 4),
)
# so that training draws every mask that a network can draw
_PATHS = dict(drop_path_rate=0.2)
_ATTENTION = dict(_PATHS, attn_drop_rate=0.2)
_DROPS = dict(_ATTENTION, drop_rate=0.1)
_CONVNEXT = dict(
    type='mmcls.ConvNeXt', arch=dict(depths=(1, 1), channels=(4, 8)), out_indices=(0, 1),
    layer_scale_init_value=1.0, gap_before_final_norm=False, **_PATHS,
)  # fmt: skip
_POOLFORMER = dict(
    type='mmcls.PoolFormer', out_indices=(0, 2),
    arch=dict(layers=(1, 1), embed_dims=(4, 8), mlp_ratios=(2, 2), layer_scale_init_value=1.0),
    drop_rate=0.1, **_PATHS,
)  # fmt: skip
_TWINS = dict(
    embed_dims=(4, 8), num_heads=(1, 2), mlp_ratios=(2, 2), depths=(2, 1), sr_ratios=(4, 2),
    out_indices=(0, 1), qkv_bias=True, **_DROPS,
)  # fmt: skip
_MIT = dict(
    type='MixVisionTransformer', embed_dims=4, num_layers=(1, 1, 1, 1), num_heads=(1, 2, 3, 4),
    **_DROPS,
)  # fmt: skip
_BEIT = dict(
    img_size=(64, 80), embed_dims=4, num_heads=2, norm_cfg=dict(type='LN', eps=1e-6), **_ATTENTION
)
_VIT = dict(
    type='VisionTransformer', img_size=32, patch_size=8, embed_dims=6, num_layers=2, num_heads=2,
    out_indices=(0, 1), **_DROPS,
)  # fmt: skip
_OF_VIT = 'its table of positions is resized to the image'
_HARD = dict(type='OhemCrossEntropy', min_kept=100)
_DETAIL = head(
    'STDCHead', in_channels=16, in_index=0, num_convs=1, concat_input=False, num_classes=2,
    loss_decode=[
        dict(type='CrossEntropyLoss', loss_name='loss_ce', use_sigmoid=True),
        dict(type='DiceLoss', loss_name='loss_dice'),
    ],
)  # fmt: skip
_WEIGHTED = dict(loss_decode=dict(type='CrossEntropyLoss', class_weight=[2.5, 6.7, 3.5]))

FAMILIES = {
    'ann': Family(
        model(
            head(
                'ANNHead', **lists(4, 8), project_channels=4, query_scales=(1, 2),
                key_pool_scales=(1, 3),
            ),
            auxiliary_head=AUX,
        )
    ),
    'apcnet': Family(model(head('APCHead', pool_scales=(1, 3)), auxiliary_head=AUX)),
    'beit': Family(
        model(
            head('UPerHead', **lists(4, 4, 4, 4), pool_scales=(1, 2)),
            dict(_BEIT, type='BEiT', num_layers=4, out_indices=(0, 1, 2, 3)),
            neck=dict(type='Feature2Pyramid', embed_dim=4, norm_cfg=BN),
            auxiliary_head=AUX,
        ),
        other_size=(73, 95),
        fixed_size='its biases by relative position are those of one size',
    ),
    'bisenetv1': Family(model(fcn(8, 0), _BISENET_V1, auxiliary_head=[fcn(8, 1), fcn(8, 2)])),
    'bisenetv2': Family(
        model(fcn(8, 0), _BISENET_V2, auxiliary_head=[fcn(4, 1), fcn(4, 2), fcn(8, 3)])
    ),
    'ccnet': Family(model(head('CCHead', channels=8), auxiliary_head=AUX)),
    'cgnet': Family(
        model(
            head(
                'FCNHead', in_channels=32, in_index=2, channels=32, num_convs=0,
                concat_input=False, dropout_ratio=0, **_WEIGHTED,
            ),
            dict(type='CGNet', num_channels=(4, 8, 16), num_blocks=(2, 2), reductions=(4, 4)),
        )
    ),
    'convnext': Family(model(fcn(8, 1), _CONVNEXT, auxiliary_head=AUX)),
    'danet': Family(model(head('DAHead', pam_channels=2), auxiliary_head=AUX)),
    'ddrnet': Family(
        model(
            head('DDRHead', in_channels=16, in_index=-1, loss_decode=[_HARD, _HARD]),
            dict(type='DDRNet', channels=4, ppm_channels=4),
        )
    ),
    'deeplabv3': Family(model(head('ASPPHead', dilations=(1, 3)), auxiliary_head=AUX)),
    'deeplabv3plus': Family(
        model(
            head(
                'DepthwiseSeparableASPPHead', dilations=(1, 3), c1_in_channels=4, c1_channels=2
            ),
            auxiliary_head=AUX,
        )
    ),
    'dnlnet': Family(model(head('DNLHead', temperature=1.0), auxiliary_head=AUX)),
    'emanet': Family(
        model(head('EMAHead', ema_channels=6, num_bases=3, num_stages=2), auxiliary_head=AUX)
    ),
    'dpt': Family(
        model(
            head(
                'DPTHead', **lists(6, 6, 6, 6), input_transform='multiple_select', embed_dims=6,
                post_process_channels=(2, 3, 4, 5), readout_type='project',
            ),
            dict(_VIT, num_layers=4, out_indices=(0, 1, 2, 3), output_cls_token=True),
        ),
        fixed_size=_OF_VIT,
    ),
    'encnet': Family(
        model(head('EncHead', **lists(4, 8), num_codes=3, add_lateral=True), auxiliary_head=AUX)
    ),
    'dmnet': Family(
        model(head('DMHead', filter_sizes=(1, 2, 3)), auxiliary_head=AUX),
        fixed_size='for each channel of each image',
    ),
    'erfnet': Family(model(fcn(4, 0), _ERFNET)),
    'fastscnn': Family(
        model(
            head('DepthwiseSeparableFCNHead', in_index=-1, concat_input=False, **_SIGMOID),
            _FAST_SCNN,
            auxiliary_head=[fcn(8, -2, **_SIGMOID), fcn(8, -3, **_SIGMOID)],
        )
    ),
    'fastfcn': Family(
        model(
            head('PSPHead', in_channels=16, pool_scales=(1, 2)),
            dict(RESNET, strides=(2, 2)),
            neck=dict(type='JPU', in_channels=(4, 8), mid_channels=4, norm_cfg=BN),
            auxiliary_head=AUX,
        )
    ),
    'fcn': Family(model(head('FCNHead', num_convs=2), auxiliary_head=AUX)),
    'gcnet': Family(model(head('GCHead', ratio=0.5), auxiliary_head=AUX)),
    'hrnet': Family(
        model(
            head(
                'FCNHead', **lists(4, 8, 16, 32), input_transform='resize_concat', kernel_size=1,
                num_convs=1, concat_input=False, dropout_ratio=-1,
            ),
            tiny_hrnet(),
        )
    ),
    'icnet': Family(
        model(
            fcn(8, 2, dropout_ratio=0), _ICNET, auxiliary_head=[fcn(8, 0), fcn(8, 1)],
            neck=dict(type='ICNeck', in_channels=(4, 6, 8), out_channels=8, norm_cfg=BN),
        )
    ),
    'isanet': Family(
        model(head('ISAHead', isa_channels=2, down_factor=(3, 4)), auxiliary_head=AUX),
        fixed_size='the number of windows depends on the size',
    ),
    'mae': Family(
        model(fcn(4, 1), dict(_BEIT, type='MAE', num_layers=2, out_indices=(0, 1)),
              auxiliary_head=AUX),
        other_size=(73, 95),
        fixed_size='its biases by relative position are those of one size',
    ),
    'knet': Family(
        model(
            dict(
                type='IterativeDecodeHead', num_stages=2, kernel_update_head=[knet_stage()] * 2,
                kernel_generate_head=head(
                    'UPerHead', **lists(4, 8), channels=8, pool_scales=(1, 3)
                ),
            ),
            auxiliary_head=AUX,
        )
    ),
    'mobilenet_v2': Family(
        model(
            head('DepthwiseSeparableASPPHead', in_channels=8, in_index=1, dilations=(1, 3),
                 c1_in_channels=8, c1_channels=2),
            dict(type='MobileNetV2', widen_factor=0.1, out_indices=(1, 2)),
            auxiliary_head=fcn(8, 0),
        )
    ),
    'mobilenet_v3': Family(
        model(
            head('LRASPPHead', in_channels=(16, 16, 576), in_index=(0, 1, 2),
                 input_transform='multiple_select', branch_channels=(2, 4)),
            dict(type='MobileNetV3', out_indices=(0, 1, 12), norm_cfg=dict(BN, eps=0.001)),
        ),
        size=(385, 400),
        other_size=(393, 385),
    ),
    'nonlocal_net': Family(model(head('NLHead'), auxiliary_head=AUX)),
    'nonlocal_net_dot_product': Family(model(head('NLHead', mode='dot_product'))),
    'ocrnet': Family(tiny_ocrnet()),
    'point_rend': Family(
        model(
            [
                head('FPNHead', **lists(4, 4), feature_strides=(4, 8), dropout_ratio=-1),
                head('PointHead', in_channels=[4], in_index=[0], dropout_ratio=-1, norm_cfg=None),
            ],
            num_stages=2,
            neck=dict(type='FPN', in_channels=[4, 8], out_channels=4, num_outs=2),
            train_cfg=dict(num_points=32, oversample_ratio=3, importance_sample_ratio=0.75),
            test_cfg=dict(
                mode='whole', subdivision_steps=2, subdivision_num_points=100, scale_factor=2
            ),
        ),
        fixed_size='takes a fixed number of pixels',
    ),
    'poolformer': Family(
        model(
            head('FPNHead', **lists(4, 4), feature_strides=(4, 8)),
            _POOLFORMER,
            neck=dict(type='FPN', in_channels=[4, 8], out_channels=4, num_outs=2),
        )
    ),
    'psanet': Family(
        model(head('PSAHead', mask_size=(5, 7)), auxiliary_head=AUX),
        other_size=(72, 104),
        fixed_size='its masks are spread over the map by its size',
    ),
    'pidnet': Family(
        model(
            head(
                'PIDHead', in_channels=16, in_index=-1,
                loss_decode=[
                    dict(type='CrossEntropyLoss'), _HARD, dict(type='BoundaryLoss'), _HARD,
                ],
            ),
            dict(type='PIDNet', channels=4, ppm_channels=4, num_branch_blocks=1),
        )
    ),
    'pspnet': Family(model(head('PSPHead', pool_scales=(1, 2, 3)), auxiliary_head=AUX)),
    'resnest': Family(
        model(fcn(32, 1), dict(RESNET, type='ResNeSt', depth=50), auxiliary_head=fcn(16, 0))
    ),
    'resnext': Family(model(fcn(32, 1), dict(RESNET, type='ResNeXt', depth=50, groups=2))),
    'segformer': Family(model(head('SegformerHead', **lists(4, 8, 12, 16)), _MIT)),
    'segnext': Family(
        model(
            head('LightHamHead', **lists(4, 6), ham_channels=8, ham_kwargs=dict(MD_S=2, MD_R=3)),
            dict(type='MSCAN', embed_dims=(4, 6), mlp_ratios=(2, 2), depths=(1, 1), num_stages=2,
                 norm_cfg=BN, drop_rate=0.1, **_PATHS),
        )
    ),
    'segmenter': Family(
        model(
            head(
                'SegmenterMaskTransformerHead', in_channels=6, num_layers=1, num_heads=2,
                embed_dims=4, norm_cfg=dict(type='LN'), **_DROPS,
            ),
            _VIT,
        ),
        fixed_size=_OF_VIT,
    ),
    'sem_fpn': Family(
        model(
            head('FPNHead', **lists(4, 4), feature_strides=(4, 8)),
            neck=dict(type='FPN', in_channels=[4, 8], out_channels=4, num_outs=2),
        )
    ),
    'swin': Family(
        model(
            head('UPerHead', **lists(4, 8), pool_scales=(1, 2)),
            dict(
                type='SwinTransformer', embed_dims=4, depths=(2, 2), num_heads=(1, 2),
                strides=(4, 2), out_indices=(0, 1), window_size=4, **_DROPS,
            ),
            auxiliary_head=AUX,
        ),
        fixed_size='its padding depends on the size',
    ),
    'setr': Family(
        model(
            head('SETRUPHead', in_channels=6, num_convs=2, up_scale=2),
            dict(_VIT, interpolate_mode='bilinear'),
            auxiliary_head=head('SETRUPHead', in_channels=6, in_index=0, kernel_size=1),
        ),
        fixed_size=_OF_VIT,
    ),
    'setr_mla': Family(
        model(
            head('SETRMLAHead', **lists(4, 4), channels=6, mla_channels=3, up_scale=2),
            dict(_VIT, with_cls_token=False, interpolate_mode='bilinear'),
            neck=dict(type='MLANeck', in_channels=[6, 6], out_channels=4, norm_cfg=BN),
            auxiliary_head=fcn(4, 0),
        ),
        fixed_size=_OF_VIT,
    ),
    'stdc': Family(
        model(
            fcn(16, 3, align_corners=True, **_OHEM),
            _STDC,
            auxiliary_head=[fcn(8, 2, **_OHEM), fcn(8, 1, **_OHEM), _DETAIL],
        )
    ),
    'twins_pcpvt': Family(
        model(
            head('FPNHead', **lists(4, 4), feature_strides=(4, 8)),
            dict(_TWINS, type='PCPVT'),
            neck=dict(type='FPN', in_channels=[4, 8], out_channels=4, num_outs=2),
        ),
        fixed_size='its padding depends on the size',
    ),
    'twins_svt': Family(
        model(
            head('UPerHead', **lists(4, 8), pool_scales=(1, 2)),
            dict(_TWINS, type='SVT', windiow_sizes=(7, 7)),
            auxiliary_head=AUX,
        ),
        fixed_size='its padding depends on the size',
    ),
    'unet': Family(model(fcn(2, 2), _UNET, auxiliary_head=fcn(4, 1)), other_size=(72, 100)),
    'unet_deconv': Family(
        model(fcn(2, 2), dict(_UNET, upsample_cfg=dict(type='DeconvModule'))), other_size=(72, 100)
    ),
    'vit': Family(
        model(
            head('UPerHead', **lists(6, 6), pool_scales=(1, 2)),
            dict(_VIT, final_norm=True, patch_norm=True),
            neck=dict(type='MultiLevelNeck', in_channels=[6, 6], out_channels=6, scales=[2, 1]),
            auxiliary_head=fcn(6, 1),
        ),
        fixed_size=_OF_VIT,
    ),
    'upernet': Family(model(head('UPerHead', **lists(4, 8), pool_scales=(1, 3)))),
}  # fmt: skip


def build(name: str, seed: int = 0) -> nn.Cell:
    """Build a family's model, with random scales, shifts and statistics of its norms."""
    np.random.seed(seed)
    with no_init_parameters():
        network = build_segmentor(FAMILIES[name].model)
    rng = np.random.default_rng(seed)
    for parameter in network.get_parameters():
        if parameter.dtype == ms.float32:
            parameter.set_data(ms.Tensor(_values(parameter, rng), ms.float32))
        else:
            parameter.init_data()
    return network.set_train(False)


def _values(parameter: ms.Parameter, rng: np.random.Generator) -> np.ndarray:
    """Return values with which activations stay near 1, and no layer is the identity or 0."""
    leaf, shape = parameter.name.rpartition('.')[2], parameter.shape
    if leaf in ('gamma', 'moving_variance'):
        return rng.uniform(0.5, 1.5, shape)
    if len(shape) <= 1:
        return rng.normal(0, 0.2, shape)
    return rng.normal(size=shape) * (2 / np.prod(shape[1:])) ** 0.5


def images(size: tuple[int, int], batch: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return two batches of images of a size (h, w): noise, and a bright disc on dark ground."""
    height, width = size
    noise = np.random.default_rng(1).normal(size=(batch, 3, height, width)).astype(np.float32)
    rows, columns = np.ogrid[:height, :width]
    inside = (rows - height / 3) ** 2 + (columns - width / 2) ** 2 < (height / 4) ** 2
    disc = np.where(inside, 2.0, -1.0) + 0.1 * noise
    return noise, disc.astype(np.float32)
