"""ConvNeXt."""

import numpy as np
import pytest
from mindspore.nn.utils import no_init_parameters

from msseg.models import build_backbone, build_segmentor
from msseg.models.backbones.convnext import ConvNeXt, ConvNeXtBlock
from tests.test_models.family_checks import assert_recomputing_in_a_graph_changes_nothing, image

SMALL = dict(
    type='mmcls.ConvNeXt', arch=dict(depths=[1, 2], channels=[4, 8]), out_indices=(0, 1),
    gap_before_final_norm=False,
)  # fmt: skip
HEAD = dict(type='FCNHead', in_channels=8, in_index=1, channels=4, num_classes=3)


def test_maps_are_a_quarter_and_an_eighth_rounding_down():
    backbone = build_backbone(SMALL).set_train(False)
    assert backbone.out_channels == [4, 8]
    assert [m.shape for m in backbone(image(33, 55))] == [(1, 4, 8, 13), (1, 8, 4, 6)]


def test_architectures_are_chosen_by_name():
    with no_init_parameters():
        backbone = build_backbone(dict(type='ConvNeXt'))
    assert isinstance(backbone, ConvNeXt)
    assert [len(stage) for stage in backbone.stages] == [3, 3, 9, 3]
    assert (backbone.out_indices, backbone.out_channels) == ((3,), [768])


def test_averages_are_normalised_and_no_maps_for_heads():
    config = dict(SMALL, gap_before_final_norm=True, out_indices=-1)
    backbone = build_backbone(config).set_train(False)
    (vectors,) = backbone(image(32, 32, n=2))
    assert vectors.shape == (2, 8)
    np.testing.assert_allclose(vectors.asnumpy().mean(1), 0, atol=1e-5)
    model = dict(type='EncoderDecoder', backbone=config, decode_head=HEAD)
    with pytest.raises(ValueError, match='ConvNeXt.*maps, but gap_before_final_norm=True'):
        build_segmentor(model)


@pytest.mark.parametrize('norm_cfg', [dict(type='LN2d', eps=1e-6), dict(type='BN')])
def test_linear_layers_give_what_convolutions_give(norm_cfg):
    options = dict(norm_cfg=norm_cfg, layer_scale_init_value=0.5)
    linear, convolutional = (ConvNeXtBlock(6, linear_pw_conv=each, **options).set_train(False)
                             for each in (True, False))  # fmt: skip
    sources = linear.parameters_dict()
    for name, parameter in convolutional.parameters_dict().items():
        parameter.set_data(sources[name].reshape(parameter.shape))
    x = image(5, 7, n=2, channels=6)
    np.testing.assert_allclose(linear(x).asnumpy(), convolutional(x).asnumpy(), atol=1e-6)


def test_a_block_without_its_factors_has_no_parameter_of_them():
    assert 'gamma' in ConvNeXtBlock(4).parameters_dict()
    assert 'gamma' not in ConvNeXtBlock(4, layer_scale_init_value=0.0).parameters_dict()


def test_frozen_stages_neither_learn_nor_drop():
    backbone = build_backbone(
        dict(SMALL, frozen_stages=2, drop_path_rate=0.5, layer_scale_init_value=1.0)
    ).set_train()
    trained = {name for name, p in backbone.parameters_and_names() if p.requires_grad}
    assert {name.split('.')[0] for name in trained} == {'norm0', 'norm1'}
    x = image(16, 16, n=4)
    np.testing.assert_array_equal(backbone(x)[1].asnumpy(), backbone(x)[1].asnumpy())


def test_recomputing_changes_nothing():
    config = dict(SMALL, arch=dict(depths=[1], channels=[4]), out_indices=0)
    config = dict(config, layer_scale_init_value=1.0)
    assert_recomputing_in_a_graph_changes_nothing(config, image(16, 16, n=2))


def test_a_too_small_image_is_refused():
    model = build_segmentor(dict(type='EncoderDecoder', backbone=SMALL, decode_head=HEAD))
    with pytest.raises(ValueError, match=r'ConvNeXt.*at least \(8, 8\)'):
        model.check_image_size((7, 64))
    assert build_backbone(SMALL).set_train(False)(image(8, 9))[1].shape == (1, 8, 1, 1)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(arch='tinny'), "arch is 'tinny'.*Did you mean 'tiny'"),
        (dict(arch=dict(depths=[1])), "arch: the key 'channels' is missing"),
        (dict(arch=dict(depths=[1], channels=[4, 8])), 'arch.channels.*1 numbers, as many as dep'),
        (dict(arch=dict(depths=[1], channels=[4], width=2)), "arch takes no 'width'"),
        (dict(arch=dict(depths=[0], channels=[4])), 'arch.depths is'),
        (dict(out_indices=(0, 2)), 'out_indices.*numbers from -2 to 1'),
        (dict(frozen_stages=3), 'frozen_stages.*3.*at most the 2 stages'),
        (dict(drop_path_rate=1.0), 'drop_path_rate'),
    ],
)
def test_bad_arguments(changes, message):
    with pytest.raises((ValueError, TypeError, KeyError), match=message):
        build_backbone({**SMALL, **changes})
