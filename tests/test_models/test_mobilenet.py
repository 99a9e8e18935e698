"""MobileNetV2 and MobileNetV3: maps, options and refusals; the head of the latter."""

import numpy as np
import pytest
from mindspore import nn

from msseg.export.writers import distinct_size
from msseg.models import build_backbone, build_head, build_segmentor
from tests.test_models.family_checks import (
    assert_frozen,
    assert_norm_eval_keeps_statistics_and_trains_scales,
    assert_recomputing_in_a_graph_changes_nothing,
    image,
    norms,
)

V2 = dict(type='MobileNetV2', widen_factor=0.25)
V3 = dict(type='MobileNetV3', arch='small')
HEAD = dict(
    type='LRASPPHead', in_channels=(4, 6, 8), in_index=(0, 1, 2), channels=8, num_classes=3,
    input_transform='multiple_select', norm_cfg=dict(type='BN'),
)  # fmt: skip


def layer_names(cell):
    return {name.rpartition('.')[0] for name in cell.parameters_dict()}


@pytest.mark.parametrize(('height', 'width'), [(64, 96), (33, 41)])
def test_maps_of_v2_are_halved_rounding_up(height, width):
    backbone = build_backbone(V2).set_train(False)
    sizes = [(-(-height // s), -(-width // s)) for s in (4, 8, 16, 32)]
    shapes = [(1, c, *size) for c, size in zip((8, 8, 24, 80), sizes, strict=True)]
    assert [m.shape for m in backbone(image(height, width))] == shapes


def test_dilation_in_place_of_strides_and_one_map_of_v2():
    backbone = build_backbone(
        dict(V2, strides=(1, 2, 2, 1, 1, 1, 1), dilations=(1, 1, 1, 2, 2, 4, 4), out_indices=[6])
    )
    assert backbone.out_channels == [80]
    assert [m.shape for m in backbone(image(32, 64))] == [(1, 80, 4, 8)]
    dilations = [block.conv[1].conv.dilation[0] for block in backbone.layer6]
    assert dilations == [4, 1, 1]


@pytest.mark.parametrize(('height', 'width'), [(64, 96), (33, 41)])
@pytest.mark.parametrize(('arch', 'last'), [('small', 12), ('large', 16)])
def test_maps_of_v3_end_at_an_eighth(arch, last, height, width):
    backbone = build_backbone(dict(V3, arch=arch, out_indices=(0, 3, last)))
    maps = backbone.set_train(False)(image(height, width))
    steps = {'small': (2, 8, 8), 'large': (2, 4, 8)}[arch]
    sizes = [(-(-height // s), -(-width // s)) for s in steps]
    channels = {'small': (16, 24, 576), 'large': (16, 24, 960)}[arch]
    assert [m.shape for m in maps] == [(1, c, *s) for c, s in zip(channels, sizes, strict=True)]


def test_a_reduced_v3_has_no_shortcut_where_it_had_a_stride():
    backbone = build_backbone(dict(V3, reduction_factor=2, out_indices=(8, 9, 11)))
    assert backbone.out_channels == [48, 48, 48]
    assert [getattr(backbone, f'layer{i}').has_shortcut for i in (8, 9, 10)] == [True, False, True]


def test_the_blocks_have_mmsegmentations_names():
    assert {'conv1.conv', 'conv1.bn', 'layer1.0.conv.0.conv', 'layer2.1.conv.2.bn'} < layer_names(
        build_backbone(V2)
    )
    names = layer_names(build_backbone(V3))
    assert {'layer0.conv', 'layer1.se.conv1.conv', 'layer1.linear_conv.bn', 'layer12.bn'} < names
    assert 'layer1.expand_conv.conv' not in names  # 16 channels before and inside
    assert 'layer2.expand_conv.conv' in names


def test_eps_of_the_norms_is_the_configs():
    backbone = build_backbone(dict(V3, norm_cfg=dict(type='BN', eps=0.001)))
    assert {layer.eps for layer in norms(backbone)} == {0.001}


@pytest.mark.parametrize('stages', [-1, 0, 2])
def test_frozen_stages_of_v2_keep_the_statistics_of_all_but_the_stem(stages):
    frozen = ['conv1', 'layer1', 'layer2'][: stages + 1]
    assert_frozen(build_backbone(dict(V2, frozen_stages=stages)), frozen, frozen[1:])


@pytest.mark.parametrize('stages', [-1, 0, 12])
def test_frozen_stages_of_v3_are_neither_trained_nor_normalised_by_the_batch(stages):
    frozen = [f'layer{i}' for i in range(stages + 1)]
    assert_frozen(build_backbone(dict(V3, frozen_stages=stages)), frozen, frozen)


@pytest.mark.parametrize('config', [V2, V3], ids=['V2', 'V3'])
def test_norm_eval(config):
    assert_norm_eval_keeps_statistics_and_trains_scales(config, image(32, 32))


def test_recomputing_v2_changes_nothing():
    assert_recomputing_in_a_graph_changes_nothing(V2, image(64, 64, n=2))


def test_recomputing_v3_changes_nothing():
    assert_recomputing_in_a_graph_changes_nothing(V3, image(64, 64, n=2))


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (dict(V2, out_indices=(1, 7)), r'out_indices is \(1, 7\).*from 0 to 6'),
        (dict(V2, frozen_stages=7), 'frozen_stages is 7'),
        (dict(V2, strides=(1, 2, 2)), r'strides is \(1, 2, 2\).*7 to 7 of them'),
        (dict(V2, strides=(1, 2, 2, 3, 1, 2, 1)), 'strides is .*3'),
        (dict(V2, widen_factor=0), 'widen_factor is 0'),
        (dict(V3, arch='smal'), "arch is 'smal'.*Did you mean 'small'"),
        (dict(V3, out_indices=(0, 13)), "out_indices is 13, expected at most 12.*'small'"),
        (dict(V3, frozen_stages=13), 'frozen_stages is 13, expected at most 12'),
    ],
)
def test_what_does_not_fit_is_refused(config, message):
    with pytest.raises(ValueError, match=message) as error:
        build_backbone(config)
    assert '\n' not in str(error.value)


def maps_for_head():
    return tuple(image(h, w, 2, c) for h, w, c in ((104, 120, 4), (104, 120, 6), (52, 60, 8)))


def test_the_head_gives_logits_at_its_first_maps_size(graph_mode):
    head = build_head(HEAD).set_train(False)
    assert head(maps_for_head()).shape == (2, 3, 104, 120)
    assert {'convs.conv0', 'conv_ups.conv_up1.bn', 'conv_up_input', 'image_pool.1.conv'} < (
        layer_names(head)
    )


def test_the_head_starts_as_pytorchs_plain_convolutions():
    head = build_head(HEAD)
    weight = head.conv_up_input.weight.asnumpy()
    assert np.abs(weight).max() <= 1 / np.sqrt(8)
    assert head.conv_up_input.bias.asnumpy().any()
    assert not isinstance(head.convs[0], nn.SequentialCell) and not head.convs[0].has_bias


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(input_transform='resize_concat'), "input_transform is 'resize_concat'"),
        (dict(branch_channels=(8,)), 'branch_channels has 1 numbers, expected 2'),
    ],
)
def test_the_head_needs_a_branch_for_each_map_but_the_last(options, message):
    with pytest.raises(ValueError, match=message):
        build_head(dict(HEAD, **options))


def test_images_whose_maps_are_smaller_than_the_pooling_are_refused_before_they_run():
    head = dict(HEAD, in_channels=(16, 16, 576))
    model = build_segmentor(dict(type='EncoderDecoder', backbone=V3, decode_head=head))
    assert model.backbone.out_strides == [2, 4, 8]
    assert model.smallest_image == 8 * 48 + 1
    model.check_image_size((385, 400))
    message = r'LRASPPHead: .*\(400, 384\), expected at least \(385, 385\)'
    with pytest.raises(ValueError, match=message):
        model.check_image_size((400, 384))
    assert distinct_size(model.size_divisor, model.smallest_image) == (385, 447)
