"""ERFNet's map, options and refusals."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.models import build_backbone
from msseg.models.layers import Dropout
from tests.test_models.family_checks import image, norms, train_once
from tests.tiny_families import build

SMALL = dict(
    type='ERFNet', enc_downsample_channels=(4, 8, 16), enc_stage_non_bottlenecks=(1, 4),
    enc_non_bottleneck_dilations=(2, 4), enc_non_bottleneck_channels=(8, 16),
    dec_upsample_channels=(8, 6), dec_stages_non_bottleneck=(1, 2),
    dec_non_bottleneck_channels=(8, 6), dropout_ratio=0.0,
)  # fmt: skip


@pytest.mark.parametrize(('size', 'expected'), [((64, 96), (32, 48)), ((33, 42), (20, 24))])
def test_the_map_is_half_the_image_rounded_up_to_quarters_of_itself(size, expected):
    backbone = build_backbone(SMALL).set_train(False)
    assert [m.shape for m in backbone(image(*size))] == [(1, 6, *expected)]
    assert backbone.out_channels == [6]


def test_the_last_stages_dilations_are_repeated_and_only_the_encoder_drops():
    backbone = build_backbone(dict(SMALL, dropout_ratio=0.3))
    assert [type(block).__name__[0] for block in backbone.encoder] == list('DDNDNNNN')
    dilations = [block.convs_layers[5].dilation[0] for block in backbone.encoder[4:]]
    assert dilations == [2, 4, 2, 4]
    assert [type(block).__name__[0] for block in backbone.decoder] == list('UNUNN')
    for part, ratio in ((backbone.encoder, 0.3), (backbone.decoder, 0.0)):
        drops = [cell for _, cell in part.cells_and_names() if isinstance(cell, Dropout)]
        assert drops
        assert all(drop.ratio == ratio for drop in drops)


def test_layers_have_mmsegmentations_places():
    names = {name.rpartition('.')[0] for name in build_backbone(SMALL).parameters_dict()}
    assert {f'encoder.2.convs_layers.{i}' for i in (0, 2, 3, 5, 7, 8)} < names
    assert {'encoder.1.conv', 'encoder.1.bn', 'decoder.0.conv', 'decoder.0.bn'} < names


def test_eps_is_a_thousandth_unless_given():
    assert {layer.eps for layer in norms(build_backbone(SMALL))} == {1e-3}
    given = build_backbone(dict(SMALL, norm_cfg=dict(type='BN', eps=1e-4)))
    assert {layer.eps for layer in norms(given)} == {1e-4}


def test_norm_and_activation_are_those_of_the_config():
    config = dict(SMALL, norm_cfg=dict(type='GN', num_groups=2), act_cfg=dict(type='LeakyReLU'))
    layers = [layer for _, layer in build_backbone(config).cells_and_names()]
    assert not [layer for layer in layers if isinstance(layer, (nn.BatchNorm2d, nn.ReLU))]


def test_layers_start_as_pytorchs():
    backbone = build_backbone(SMALL)
    conv = backbone.encoder[4].convs_layers[0]
    bound = 1 / np.sqrt(16 * 3)
    assert 0.8 * bound < np.abs(conv.weight.asnumpy()).max() <= bound
    assert conv.bias.asnumpy().any()
    deconv = backbone.decoder[0].conv
    assert deconv.bias.asnumpy().any()
    assert np.abs(deconv.weight.asnumpy()).max() <= 1 / np.sqrt(8 * 9)


def test_a_compiled_step_equals_one_operator_by_operator():
    x = image(32, 40, n=2)
    value, gradients, statistics = train_once(SMALL, x, ms.PYNATIVE_MODE)
    compiled, others, after = train_once(SMALL, x, ms.GRAPH_MODE)
    assert compiled == pytest.approx(value, rel=1e-5)
    largest = max(abs(each).max() for each in gradients.values())
    for name, gradient in gradients.items():
        np.testing.assert_allclose(others[name], gradient, atol=1e-4 * largest, err_msg=name)
    for name, statistic in statistics.items():
        np.testing.assert_allclose(after[name], statistic, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(enc_stage_non_bottlenecks=(1, 3)), r'enc_stage_non_bottlenecks\[-1\] is 3.*multiple'),
        (
            dict(enc_stage_non_bottlenecks=(4,)),
            r'len\(enc_stage_non_bottlenecks\) is 1',
        ),
        (dict(enc_non_bottleneck_channels=(8, 8)), r'is \[8, 8\], expected \[8, 16\]'),
        (dict(dec_non_bottleneck_channels=(8, 8)), r'is \[8, 8\], expected \[8, 6\]'),
        (dict(dec_stages_non_bottleneck=(1,)), r'len\(dec_stages_non_bottleneck\) is 1'),
        (
            dict(enc_downsample_channels=(4, 4, 16), enc_non_bottleneck_channels=(4, 16)),
            'enc_downsample_channels is 4, expected more than the 4 channels before',
        ),
        (dict(dropout_ratio=1), 'dropout_ratio is 1'),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message) as error:
        build_backbone(dict(SMALL, **options))
    assert '\n' not in str(error.value)


def test_a_crop_that_cannot_be_halved_is_refused_before_training():
    network = build('erfnet')
    assert network.smallest_image == 5
    network.check_image_size((5, 5))
    assert network(image(5, 6))[0].shape == (1, 3, 4, 4)
    with pytest.raises(ValueError, match=r'ERFNet: .* is \(9, 4\), expected at least \(5, 5\)'):
        network.check_image_size((9, 4))
