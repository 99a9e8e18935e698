"""Every registered part builds, gives finite values of the right shape and trains completely."""

import mindspore as ms
import numpy as np
import pytest

from msseg.models import (
    BACKBONES,
    HEADS,
    LOSSES,
    NECKS,
    PIXEL_SAMPLERS,
    SEGMENTORS,
    InferenceSegmentor,
    SegmentorWithLoss,
)
from tests.test_models.model_configs import ocrnet, tiny_hrnet
from tests.tiny_families import knet_stage

HEAD = dict(in_channels=(6, 8), in_index=(0, 1), input_transform='resize_concat', num_classes=3)
SELECT = dict(in_channels=(6, 8), in_index=(0, 1), num_classes=3)
REVERSED = dict(in_channels=(8, 6), in_index=(1, 0), num_classes=3)  # the result is as the last map
FCN = dict(type='FCNHead', in_channels=4, in_index=0, channels=4, num_classes=7, num_convs=1)
TWO_MAPS = dict(in_channels=(4, 8), in_index=(0, 1), input_transform='resize_concat')
RESNET = dict(depth=18, stem_channels=4, base_channels=4, zero_init_residual=False)
TWO_STAGES = dict(
    RESNET, type='ResNet', num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(0, 1)
)
STDC = dict(
    stdc_type='STDCNet1', in_channels=3, channels=(4, 4, 16, 16, 32), bottleneck_type='cat',
    norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU'),
)  # fmt: skip
CONVNEXT = dict(
    arch=dict(depths=[1, 1], channels=[4, 8]), out_indices=(0, 1), gap_before_final_norm=False
)
POOLFORMER = dict(
    arch=dict(layers=[1, 1], embed_dims=[4, 8], mlp_ratios=[2, 2]), out_indices=(0, 2)
)
TWINS = dict(
    embed_dims=(4, 8), num_heads=(1, 2), mlp_ratios=(2, 2), depths=(2, 1), sr_ratios=(4, 2)
)
# A new entry needs one line here.
EXAMPLES = {
    BACKBONES: {
        'ResNet': RESNET,
        'ResNetV1c': RESNET,
        'ResNetV1d': RESNET,
        'ResNeXt': dict(RESNET, depth=50, groups=2),
        'ResNeSt': dict(RESNET, depth=50),
        'UNet': dict(base_channels=2),
        'BiSeNetV1': dict(
            backbone_cfg=dict(RESNET, type='ResNet'),
            spatial_channels=(4, 4, 4, 8),
            context_channels=(8, 16, 32),
        ),
        'STDCNet': STDC,
        'STDCContextPathNet': dict(
            backbone_cfg=dict(STDC, type='STDCNet'),
            last_in_channels=(32, 16),
            out_channels=8,
            ffm_cfg=dict(in_channels=24, out_channels=16),
        ),
        'BiSeNetV2': dict(
            detail_channels=(4, 8),
            semantic_channels=(4, 4, 8),
            bga_channels=8,
            semantic_expansion_ratio=2,
            out_indices=(0, 1, 2, 3),
        ),
        'CGNet': dict(num_channels=(4, 8, 16), num_blocks=(2, 2), reductions=(4, 4)),
        **dict.fromkeys(('ConvNeXt', 'mmcls.ConvNeXt'), CONVNEXT),
        **dict.fromkeys(('PoolFormer', 'mmcls.PoolFormer'), POOLFORMER),
        'PCPVT': dict(TWINS, out_indices=(0, 1)),
        'SVT': dict(TWINS, drop_path_rate=0.0),
        'DDRNet': dict(channels=4, ppm_channels=4),
        'PIDNet': dict(channels=4, ppm_channels=4, num_branch_blocks=1),
        'MSCAN': dict(embed_dims=(4, 6), depths=(1, 1), num_stages=2),
        'ERFNet': dict(
            enc_downsample_channels=(4, 8, 16),
            enc_stage_non_bottlenecks=(1, 2),
            enc_non_bottleneck_dilations=(2, 4),
            enc_non_bottleneck_channels=(8, 16),
        ),
        'FastSCNN': dict(
            downsample_dw_channels=(4, 4),
            global_block_channels=(4, 8, 8),
            global_out_channels=8,
            lower_in_channels=8,
            fusion_out_channels=8,
        ),
        'HRNet': tiny_hrnet(),
        'ICNet': dict(
            backbone_cfg=dict(RESNET, type='ResNetV1c'),
            layer_channels=(8, 32),
            light_branch_middle_channels=4,
            psp_out_channels=4,
            out_channels=(4, 6, 8),
            pool_scales=(1, 2),
        ),
        'MixVisionTransformer': dict(embed_dims=4, num_layers=(1, 1, 1, 1), num_heads=(1, 2, 3, 4)),
        'SwinTransformer': dict(
            embed_dims=4,
            depths=(2, 2),
            num_heads=(1, 2),
            strides=(4, 2),
            out_indices=(0, 1),
            window_size=4,
        ),  # fmt: skip
        **dict.fromkeys(
            ('BEiT', 'MAE'), dict(img_size=64, embed_dims=4, num_layers=2, num_heads=2)
        ),
        'VisionTransformer': dict(
            img_size=32, embed_dims=4, num_layers=2, num_heads=2, out_indices=(0, 1)
        ),
        'MobileNetV2': dict(widen_factor=0.25),
        'MobileNetV3': {},
        'EfficientNetLite': {},
    },
    NECKS: {
        'FPN': dict(in_channels=(6, 8, 5), out_channels=4, num_outs=4),
        'ICNeck': dict(in_channels=(6, 8, 5), out_channels=4),
        'Feature2Pyramid': dict(embed_dim=4),
        'JPU': dict(in_channels=(6, 8, 5), mid_channels=4, dilations=(1, 2)),
        'MLANeck': dict(in_channels=(6, 8, 5), out_channels=4),
        'MultiLevelNeck': dict(in_channels=(6, 8, 5), out_channels=4, scales=(2, 1, 0.5)),
    },
    HEADS: {
        'ANNHead': dict(
            in_channels=(8, 6),
            in_index=(1, 0),
            num_classes=3,
            channels=4,
            project_channels=2,
            key_pool_scales=(1, 3),
        ),  # fmt: skip
        'APCHead': dict(HEAD, channels=4, pool_scales=(1, 3)),
        'ASPPHead': dict(HEAD, channels=4, dilations=(1, 2)),
        'DMHead': dict(
            HEAD, channels=4, filter_sizes=(1, 2, 3), fusion=True, norm_cfg=dict(type='BN')
        ),
        'DAHead': dict(HEAD, channels=4, pam_channels=2),
        'DepthwiseSeparableASPPHead': dict(
            HEAD, channels=4, dilations=(1, 2), c1_in_channels=6, c1_channels=3
        ),
        'DepthwiseSeparableFCNHead': dict(HEAD, channels=5, norm_cfg=dict(type='BN')),
        'DPTHead': dict(
            in_channels=(6,) * 4,
            in_index=(0, 1, 2, 3),
            input_transform='multiple_select',
            num_classes=3,
            channels=4,
            embed_dims=6,
            post_process_channels=(2, 3, 4, 5),
            readout_type='project',
        ),
        'EMAHead': dict(HEAD, channels=4, ema_channels=6, num_bases=3, num_stages=2),
        'EncHead': dict(REVERSED, channels=4, num_codes=3, add_lateral=True),
        'FCNHead': dict(HEAD, channels=5, norm_cfg=dict(type='BN')),
        'LRASPPHead': dict(
            HEAD, channels=5, branch_channels=[4], input_transform='multiple_select'
        ),
        'FPNHead': dict(SELECT, channels=4, feature_strides=(4, 8)),
        'GCHead': dict(HEAD, channels=8, fusion_types=('channel_add', 'channel_mul')),
        'DDRHead': dict(in_channels=12, num_classes=3, channels=4),
        'PIDHead': dict(in_channels=12, num_classes=3, channels=4, edge_width=1),
        'DNLHead': dict(HEAD, channels=8, norm_cfg=dict(type='BN')),
        'CCHead': dict(HEAD, channels=8, norm_cfg=dict(type='BN')),
        'IterativeDecodeHead': dict(
            num_stages=2,
            kernel_generate_head=dict(HEAD, type='FCNHead', channels=8),
            kernel_update_head=[knet_stage()] * 2,
        ),
        'KernelUpdateHead': knet_stage(),
        'ISAHead': dict(HEAD, channels=8, isa_channels=4, down_factor=(3, 4)),
        'NLHead': dict(HEAD, channels=8, norm_cfg=dict(type='BN')),
        'SegformerHead': dict(SELECT, channels=4),
        'LightHamHead': dict(SELECT, channels=4, ham_channels=8, ham_kwargs=dict(MD_R=3)),
        'SegmenterMaskTransformerHead': dict(
            in_channels=6,
            in_index=0,
            num_classes=3,
            channels=4,
            num_layers=1,
            num_heads=2,
            embed_dims=4,
        ),
        'SETRMLAHead': dict(
            in_channels=(6,), in_index=(0,), num_classes=3, channels=4, mla_channels=4, up_scale=1
        ),
        'SETRUPHead': dict(HEAD, channels=4, num_convs=2, up_scale=1),
        'STDCHead': dict(HEAD, channels=5, num_classes=2, norm_cfg=dict(type='BN')),
        'OCRHead': dict(HEAD, channels=8, ocr_channels=4, norm_cfg=dict(type='BN')),
        'PointHead': dict(SELECT, channels=4),
        'PSAHead': dict(HEAD, channels=4, mask_size=(3, 5)),
        'PSPHead': dict(HEAD, channels=4, pool_scales=(1, 3)),
        'UPerHead': dict(SELECT, channels=4, pool_scales=(1, 3)),
    },
    LOSSES: {
        'CrossEntropyLoss': {},
        'BoundaryLoss': {},
        'ImageDiceLoss': {},
        'OhemCrossEntropy': dict(min_kept=4),
        'DiceLoss': {},
        'FocalLoss': {},
        'LovaszLoss': dict(reduction='none'),
        'RMILoss': dict(rmi_pool_size=1, rmi_pool_stride=1),
        'TverskyLoss': {},
    },
    PIXEL_SAMPLERS: {'OHEMPixelSampler': dict(thresh=0.7, min_kept=4)},
    SEGMENTORS: {
        'EncoderDecoder': dict(
            backbone=TWO_STAGES, decode_head={**FCN, **TWO_MAPS}, auxiliary_head=[FCN, FCN]
        ),
        'CascadeEncoderDecoder': dict(
            ocrnet(TWO_STAGES, (4, 8), 7, 16, 8, head=TWO_MAPS), auxiliary_head=FCN
        ),
    },
}

# Heads with a block that starts as the identity: the end of the names of what is 0 there.
IDENTITIES = (
    'out_project.weight',
    '_block.conv_out.bn.gamma',
    'channel_add_conv.3.weight',
    'channel_mul_conv.3.weight',
    'gamma.scale',
)
# Necks whose maps all have one size.
OF_ONE_SIZE = ('Feature2Pyramid', 'MLANeck', 'MultiLevelNeck')
# Parts of a head, which give no logits by themselves.
OF_HEADS = ('KernelUpdateHead',)
# Heads that need large feature maps: the larger side.
SIZES = {'LRASPPHead': 98, 'DPTHead': 32}


# Heads that read maps of one size: their channels.
OWN_MAPS = {'DDRHead': (6, 12), 'PIDHead': (6, 6, 12)}
# Losses of one channel for a class and the rest.
BINARY = {'BoundaryLoss'}


def entries(registry):
    """Names registered by the package itself, not by other tests."""
    return sorted(
        name
        for name, entry in registry.module_dict.items()
        if entry.__module__.startswith('msseg.')
    )


def build(registry, name):
    return registry.build(dict(EXAMPLES[registry][name], type=name))


def tensor(*shape, seed=0):
    return ms.Tensor(np.random.default_rng(seed).normal(size=shape), ms.float32)


def labels(*shape):
    return ms.Tensor(np.random.default_rng(0).integers(0, 3, shape), ms.int32)


def names_of(cell):
    """Parameters' names, which a slice of a list of cells changes when it runs."""
    return [parameter.name for parameter in cell.get_parameters()]


def assert_trains(cell, function):
    """Every trained parameter gets a gradient that is finite and not all zero."""
    parameters = cell.trainable_params()
    gradients = ms.grad(function, None, parameters)()
    assert len(gradients) == len(parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        values = gradient.asnumpy()
        assert np.isfinite(values).all(), parameter.name
        assert values.any(), parameter.name


@pytest.mark.parametrize('registry', list(EXAMPLES), ids=lambda registry: registry.name)
def test_every_entry_has_an_example(registry):
    assert entries(registry) == sorted(EXAMPLES[registry])


@pytest.mark.parametrize('name', entries(BACKBONES))
def test_backbone(name):
    cell = build(BACKBONES, name).set_train()
    image = tensor(2, 3, 64, 64)
    maps = cell(image)
    assert len(maps) == len(cell.out_channels)
    for feature_map, channels in zip(maps, cell.out_channels, strict=True):
        assert feature_map.shape[:2] == (2, channels)
        assert np.isfinite(feature_map.asnumpy()).all()
    targets = [tensor(*m.shape, seed=i) for i, m in enumerate(maps)]
    assert_trains(
        cell, lambda: sum((m * t).sum() for m, t in zip(cell(image), targets, strict=True))
    )
    assert names_of(cell) == names_of(build(BACKBONES, name))


@pytest.mark.parametrize('name', entries(NECKS))
def test_neck(name):
    cell = build(NECKS, name).set_train()
    sides = [8 if name in OF_ONE_SIZE else 16 // 2**i for i in range(len(cell.in_channels))]
    inputs = tuple(tensor(2, c, n, n) for c, n in zip(cell.in_channels, sides, strict=True))
    maps = cell(inputs)
    assert [each.shape[1] for each in maps] == list(cell.out_channels)
    targets = [tensor(*m.shape, seed=i) for i, m in enumerate(maps)]
    assert_trains(
        cell, lambda: sum((m * t).sum() for m, t in zip(cell(inputs), targets, strict=True))
    )
    assert names_of(cell) == names_of(build(NECKS, name))


@pytest.mark.parametrize('name', [name for name in entries(HEADS) if name not in OF_HEADS])
def test_head(name):
    cell = build(HEADS, name).set_train()
    for parameter in cell.get_parameters():
        if parameter.name.endswith(IDENTITIES):
            assert not parameter.asnumpy().any(), parameter.name
            parameter.set_data(tensor(*parameter.shape))
    size = SIZES.get(name, 8)
    inputs = (tensor(2, 6, size, size), tensor(2, 8, size // 2, size // 2))
    if getattr(cell, 'reads_class_tokens', False):
        side = size // 8
        inputs = tuple((tensor(2, 6, side, side, seed=i), tensor(2, 6, seed=i)) for i in range(4))
    if name in OWN_MAPS:
        inputs = tuple(tensor(2, width, size, size) for width in OWN_MAPS[name])
    arguments = (inputs, tensor(2, 3, size, size, seed=1)) if cell.is_cascade else (inputs,)
    outputs = cell(*arguments)
    logits = outputs[0] if isinstance(outputs, tuple) else outputs
    if getattr(cell, 'trains_on_points', False):
        assert logits.shape == (2, cell.out_channels, outputs[1].shape[1], 1)
    else:
        assert logits.shape == (2, cell.out_channels, size, size)
    target = labels(2, 32, 32)
    values = cell.losses(outputs, target)
    assert len(values) == len(cell.loss_names)
    assert all(np.isfinite(float(value)) for value in values)

    def total():
        named = zip(cell.loss_names, cell.losses(cell(*arguments), target), strict=True)
        return sum(value for name, value in named if 'loss' in name)

    assert_trains(cell, total)
    assert names_of(cell) == names_of(build(HEADS, name))


@pytest.mark.parametrize('name', entries(LOSSES))
def test_loss(name):
    cell = build(LOSSES, name)
    target = labels(2, 5, 6)
    assert cell.loss_name.startswith('loss_')
    right = ms.ops.one_hot(target, 3, ms.Tensor(9.0), ms.Tensor(-9.0)).transpose(0, 3, 1, 2)
    logits = tensor(2, 3, 5, 6)
    if name in BINARY:
        right, logits = right[:, 1:2], logits[:, :1]
    value = cell(logits, target, None, 255)
    assert value.shape == ()
    assert np.isfinite(float(value))
    assert float(cell(right, target, None, 255)) < float(value)
    gradient = ms.grad(lambda z: cell(z, target, None, 255))(logits).asnumpy()
    assert np.isfinite(gradient).all()
    assert gradient.any()


@pytest.mark.parametrize('name', entries(PIXEL_SAMPLERS))
def test_pixel_sampler(name):
    cell = build(PIXEL_SAMPLERS, name)
    weight = cell(tensor(2, 3, 5, 6), labels(2, 5, 6), ms.ops.abs(tensor(2, 5, 6))).asnumpy()
    assert weight.shape == (2, 5, 6)
    assert set(np.unique(weight)) == {0, 1}


@pytest.mark.parametrize('name', entries(SEGMENTORS))
def test_segmentor_trains_in_graph_mode_and_predicts_at_any_size(name, graph_mode):
    cell = build(SEGMENTORS, name)
    network = SegmentorWithLoss(cell).set_train()

    class Step(ms.nn.Cell):
        def __init__(self):
            super().__init__(auto_prefix=False)
            self.network = network
            self.grad = ms.value_and_grad(network, None, cell.trainable_params(), has_aux=True)

        def construct(self, image, target):
            return self.grad(image, target)

    (loss, values), gradients = Step()(tensor(2, 3, 64, 64), labels(2, 64, 64))
    assert len(values) == len(network.value_names) == len(set(network.value_names))
    losses = [
        float(value)
        for key, value in zip(network.value_names, values, strict=True)
        if 'loss' in key
    ]
    assert float(loss) == pytest.approx(sum(losses), rel=1e-6)
    for parameter, gradient in zip(cell.trainable_params(), gradients, strict=True):
        assert np.isfinite(gradient.asnumpy()).all(), parameter.name
        assert gradient.asnumpy().any(), parameter.name

    test_network = InferenceSegmentor(cell, 'labels')
    for height, width in ((64, 64), (37, 90)):
        got = test_network(tensor(1, 3, height, width)).asnumpy()
        assert got.shape == (1, height, width)
        assert got.min() >= 0
        assert got.max() < cell.num_classes
