"""Fast-SCNN's maps, options and refusals, and its head of separable convolutions."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.models import build_backbone, build_head
from tests.test_models.family_checks import image, train_once

SMALL = dict(
    type='FastSCNN', downsample_dw_channels=(4, 4), global_in_channels=6,
    global_block_channels=(4, 8, 8), global_out_channels=8, higher_in_channels=6,
    lower_in_channels=8, fusion_out_channels=4,
)  # fmt: skip
HEAD = dict(
    type='DepthwiseSeparableFCNHead', in_channels=6, channels=4, num_classes=3, in_index=0,
    norm_cfg=dict(type='BN'),
)  # fmt: skip


@pytest.mark.parametrize(('height', 'width'), [(64, 96), (65, 97)])
def test_maps_are_an_eighth_a_thirty_second_and_an_eighth_rounding_up(height, width):
    backbone = build_backbone(SMALL).set_train(False)
    sizes = [(-(-height // s), -(-width // s)) for s in (8, 32, 8)]
    shapes = [(1, c, *size) for c, size in zip((6, 8, 4), sizes, strict=True)]
    assert [m.shape for m in backbone(image(height, width))] == shapes


def test_maps_are_chosen_in_the_order_given():
    backbone = build_backbone(dict(SMALL, out_indices=(2, 0))).set_train(False)
    assert backbone.out_channels == [4, 6]
    assert [m.shape[1] for m in backbone(image(64, 64))] == [4, 6]


def test_only_the_separable_convolutions_leave_out_the_activation_between():
    backbone = build_backbone(SMALL)
    for block in (backbone.learning_to_downsample.dsconv1, build_head(HEAD).convs[0]):
        assert block.depthwise_conv.activate is None
        assert isinstance(block.pointwise_conv.activate, nn.ReLU)
    leaky = dict(act_cfg=dict(type='LeakyReLU'), dw_act_cfg='default')
    for block in (
        build_backbone(dict(SMALL, **leaky)).learning_to_downsample.dsconv2,
        build_head(dict(HEAD, **leaky)).conv_cat,
    ):
        assert isinstance(block.depthwise_conv.activate, nn.LeakyReLU)
        assert isinstance(block.pointwise_conv.activate, nn.LeakyReLU)


def test_parts_have_mmsegmentations_names():
    names = {name.rpartition('.')[0] for name in build_backbone(SMALL).parameters_dict()}
    assert {
        'learning_to_downsample.dsconv1.depthwise_conv.conv',
        'global_feature_extractor.bottleneck1.2.conv.2.bn',
        'global_feature_extractor.ppm.3.1.conv',
        'feature_fusion.conv_lower_res.bn',
    } < names


def test_a_compiled_step_equals_one_operator_by_operator():
    x = image(64, 96, n=2)
    value, gradients, statistics = train_once(SMALL, x, ms.PYNATIVE_MODE)
    compiled, others, after = train_once(SMALL, x, ms.GRAPH_MODE)
    assert compiled == pytest.approx(value, rel=1e-4)
    largest = max(abs(each).max() for each in gradients.values())
    for name, gradient in gradients.items():
        np.testing.assert_allclose(others[name], gradient, atol=1e-3 * largest, err_msg=name)
    for name, statistic in statistics.items():
        np.testing.assert_allclose(after[name], statistic, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(higher_in_channels=8), 'higher_in_channels is 8, expected 6, as global_in_channels'),
        (dict(lower_in_channels=4), 'lower_in_channels is 4, expected 8, as global_out_channels'),
        (dict(fusion_out_channels=3), 'fusion_out_channels is 3, expected a divisor of'),
        (dict(global_block_channels=(4, 8, 6)), r'channels\[-1\] is 6, expected a multiple of 4'),
        (dict(global_block_strides=(2, 2)), r'global_block_strides is \(2, 2\)'),
        (dict(downsample_dw_channels=(4, 4, 4)), r'downsample_dw_channels is \(4, 4, 4\)'),
        (dict(out_indices=(0, 3)), r'out_indices is \(0, 3\)'),
        (dict(dw_act_cfg='defalt'), "dw_act_cfg is 'defalt'"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message) as error:
        build_backbone(dict(SMALL, **options))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('options', [dict(num_convs=1, concat_input=False), dict(dilation=2)])
def test_the_head_keeps_the_maps_size(options, graph_mode):
    head = build_head(dict(HEAD, **options)).set_train(False)
    assert head((image(9, 12, 2, 6),)).shape == (2, 3, 9, 12)
    assert not [p.name for p in head.get_parameters() if p.name.startswith('convs.0.conv.')]


def test_the_head_needs_a_convolution():
    with pytest.raises(ValueError, match='num_convs is 0'):
        build_head(dict(HEAD, num_convs=0))
