"""Heads that pool over grids, dilate or build pyramids, and the neck FPN."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import ops

from msseg.models import build_head, build_neck, build_segmentor
from msseg.models.decode_heads.apc_head import ACM
from msseg.models.layers.resize import resize_nearest
from tests.test_models.model_configs import tiny_hrnet

BN = dict(type='BN')
LISTS = dict(in_channels=(6, 8), in_index=(0, 1))


def head(kind, **options):
    defaults = dict(in_channels=6, in_index=0, channels=4, num_classes=3, norm_cfg=BN)
    return build_head(dict(dict(defaults, type=kind), **options))


def neck(**options):
    return build_neck(
        dict(dict(type='FPN', in_channels=[4, 6, 8], out_channels=5, num_outs=3), **options)
    )


def maps(batch=2):
    rng = np.random.default_rng(0)
    shapes = ((4, 13, 9), (6, 7, 5), (8, 4, 3))
    return tuple(ms.Tensor(rng.normal(size=(batch, *shape)), ms.float32) for shape in shapes)


def layers(cell):
    return {p.name.rpartition('.')[0].removesuffix('.conv') for p in cell.get_parameters()}


@pytest.mark.parametrize(
    ('cell', 'names'),
    [
        (
            lambda: head('PSPHead', pool_scales=(1, 3)),
            'psp_modules.0.1 psp_modules.1.1 bottleneck conv_seg',
        ),
        (
            lambda: head('APCHead', pool_scales=(2,)),
            'acm_modules.0.pooled_redu_conv acm_modules.0.input_redu_conv '
            'acm_modules.0.global_info acm_modules.0.gla acm_modules.0.residual_conv '
            'acm_modules.0.fusion_conv bottleneck conv_seg',
        ),
        (
            lambda: head('ASPPHead', dilations=(1, 6)),
            'image_pool.1 aspp_modules.0 aspp_modules.1 bottleneck conv_seg',
        ),
        (
            lambda: head(
                'DepthwiseSeparableASPPHead', dilations=(1, 6), c1_in_channels=5, c1_channels=2
            ),
            'image_pool.1 aspp_modules.0 aspp_modules.1.depthwise_conv '
            'aspp_modules.1.pointwise_conv bottleneck c1_bottleneck '
            'sep_bottleneck.0.depthwise_conv sep_bottleneck.0.pointwise_conv '
            'sep_bottleneck.1.depthwise_conv sep_bottleneck.1.pointwise_conv conv_seg',
        ),
        (
            lambda: head('UPerHead', **LISTS, pool_scales=(2,)),
            'psp_modules.0.1 bottleneck lateral_convs.0 fpn_convs.0 fpn_bottleneck conv_seg',
        ),
        (
            lambda: head('FPNHead', **LISTS, feature_strides=(4, 16)),
            'scale_heads.0.0 scale_heads.1.0 scale_heads.1.2 conv_seg',
        ),
    ],
)
def test_names_are_mmsegmentations(cell, names):
    assert {name.removesuffix('.bn') for name in layers(cell())} == {*names.split(), 'dropout'}


def test_separable_head_without_the_first_map_keeps_the_size():
    cell = head('DepthwiseSeparableASPPHead', c1_in_channels=0, c1_channels=0, dilations=(1, 2))
    assert cell((ops.ones((1, 6, 5, 7)),)).shape == (1, 3, 5, 7)


@pytest.mark.parametrize(
    ('kind', 'options', 'message'),
    [
        ('APCHead', dict(pool_scales=(0, 2)), r'APCHead: pool_scales is \(0, 2\)'),
        ('PSPHead', dict(pool_scales=()), r'PSPHead: pool_scales is \(\), expected a list'),
        ('ASPPHead', dict(dilations=(0,)), r'ASPPHead: dilations is \(0,\)'),
        (
            'DepthwiseSeparableASPPHead',
            dict(c1_in_channels=0, c1_channels=4),
            'c1_in_channels is 0 and c1_channels is 4; give both, or 0 for both',
        ),
        (
            'FPNHead',
            dict(LISTS, feature_strides=(4,)),
            r'feature_strides is \(4,\), expected 2',
        ),
        ('FPNHead', dict(LISTS, feature_strides=(8, 4)), 'expected the smallest first'),
    ],
)
def test_arguments_that_do_not_fit_are_named(kind, options, message):
    with pytest.raises(ValueError, match=message):
        head(kind, **options)


def test_adaptive_context_is_a_weighted_sum_of_the_averages_over_a_grid():
    module = ACM(2, False, 3, 3, norm_cfg=None, act_cfg=None)
    identity = ms.Tensor(np.eye(3).reshape(3, 3, 1, 1), ms.float32)
    for name in ('pooled_redu_conv', 'input_redu_conv', 'global_info', 'residual_conv'):
        getattr(module, name).conv.weight.set_data(identity)
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 6)).astype(np.float32)
    averages = x.reshape(2, 3, 2, 2, 2, 3).mean((3, 5)).reshape(2, 3, 4)
    seen = x + x.mean((2, 3), keepdims=True)
    weight, bias = module.gla.weight.asnumpy()[:, :, 0, 0], module.gla.bias.asnumpy()
    needs = 1 / (1 + np.exp(-np.einsum('kc,nchw->nkhw', weight, seen) - bias[:, None, None]))
    expected = np.maximum(np.einsum('nck,nkhw->nchw', averages, needs) + x, 0)
    np.testing.assert_allclose(module(ms.Tensor(x)).asnumpy(), expected, rtol=1e-4, atol=1e-5)


def test_parts_that_do_not_fit_are_named():
    config = dict(
        type='EncoderDecoder',
        backbone=tiny_hrnet(),
        decode_head=dict(
            type='DepthwiseSeparableASPPHead',
            in_channels=32, in_index=3, channels=4, num_classes=3,
            c1_in_channels=7, c1_channels=4,
        ),
    )  # fmt: skip
    with pytest.raises(ValueError, match=r'decode_head: c1_in_channels is 7 for in_index 0, but'):
        build_segmentor(config)
    config['neck'] = dict(type='FPN', in_channels=[4, 8, 16], out_channels=4, num_outs=3)
    message = r'neck: FPN: in_channels is \[4, 8, 16\], but the backbone gives .* \[4, 8, 16, 32\]'
    with pytest.raises(ValueError, match=message):
        build_segmentor(config)


@pytest.mark.parametrize('size', [(7, 10), (8, 9), (5, 12), (4, 5)])
def test_nearest_pixels_are_pytorchs(size):
    x = maps()[1].asnumpy()[:, :, :4]
    rows, columns = (np.arange(new) * old // new for old, new in zip((4, 5), size, strict=True))
    for always in (False, True):
        got = resize_nearest(ms.Tensor(x), size, always).asnumpy()
        np.testing.assert_array_equal(got, x[:, :, rows][..., columns])


class TestFPN:
    def test_deep_maps_are_added_to_shallow_ones(self):
        cell, inputs = neck(), maps()
        lateral = [cell.lateral_convs[i](x) for i, x in enumerate(inputs)]
        for i in (1, 0):
            lateral[i] = lateral[i] + resize_nearest(lateral[i + 1], lateral[i].shape[2:])
        for i, got in enumerate(cell(inputs)):
            expected = cell.fpn_convs[i](lateral[i]).asnumpy()
            np.testing.assert_allclose(got.asnumpy(), expected, atol=1e-5)

    @pytest.mark.parametrize('extra', [False, True, 'on_input', 'on_lateral', 'on_output'])
    def test_further_maps_are_half_the_one_before(self, extra):
        cell = neck(num_outs=5, add_extra_convs=extra, relu_before_extra_convs=True)
        outputs = cell(maps())
        sizes = [(13, 9), (7, 5), (4, 3), (2, 2), (1, 1)]
        assert [each.shape for each in outputs] == [(2, 5, *size) for size in sizes]
        assert cell.out_channels == [5] * 5
        assert len(cell.fpn_convs) == (5 if extra else 3)
        if extra == 'on_input':
            assert cell.fpn_convs[3].conv.weight.shape == (5, 8, 3, 3)

    def test_levels_and_lateral_norms(self):
        cell = neck(start_level=1, end_level=2, num_outs=1, norm_cfg=BN, no_norm_on_lateral=True)
        assert layers(cell) == {'lateral_convs.0', 'fpn_convs.0', 'fpn_convs.0.bn'}
        assert cell(maps())[0].shape == (2, 5, 7, 5)

    @pytest.mark.parametrize(
        'upsampling', [dict(mode='bilinear', align_corners=True), dict(scale_factor=2)]
    )
    def test_ways_of_enlarging(self, upsampling):
        inputs = tuple(ops.ones((1, c, s, s)) for c, s in ((4, 8), (6, 4), (8, 2)))
        assert neck(upsample_cfg=upsampling)(inputs)[0].shape == (1, 5, 8, 8)

    def test_weights_start_by_xavier(self):
        weight = neck(out_channels=64).fpn_convs[0].conv.weight.asnumpy()
        bound = np.sqrt(6 / (2 * 64 * 9))
        assert 0.95 * bound < abs(weight).max() <= bound * 1.001

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(num_outs=2), 'FPN: num_outs is 2, expected at least 3, the levels used'),
            (dict(end_level=2), 'num_outs is 3, expected 2, end_level - start_level'),
            (dict(end_level=4), 'end_level is 4, expected -1, or at most 3'),
            (dict(start_level=3), 'start_level is 3, expected below 3'),
            (dict(upsample_cfg=dict(mode='cubic')), "upsample_cfg.*mode is 'cubic', expected one"),
            (dict(add_extra_convs='on_inputs'), "add_extra_convs is 'on_inputs'"),
        ],
    )
    def test_arguments_that_do_not_fit_are_named(self, options, message):
        with pytest.raises(ValueError, match=message):
            neck(**options)
