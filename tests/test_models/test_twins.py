"""Twins: PCPVT and SVT."""

import mindspore as ms
import numpy as np
import pytest

from msseg.models import build_backbone, build_segmentor
from msseg.models.backbones.twins_layers import LocallyGroupedSelfAttention, padding_mask
from tests.test_models.family_checks import image

PCPVT = dict(
    type='PCPVT', embed_dims=(4, 8), num_heads=(1, 2), mlp_ratios=(2, 2), depths=(1, 2),
    sr_ratios=(4, 2), out_indices=(0, 1),
)  # fmt: skip
SVT = dict(PCPVT, type='SVT', depths=(2, 1), windiow_sizes=(4, 4), drop_path_rate=0.0)


@pytest.mark.parametrize('config', [PCPVT, SVT], ids=['PCPVT', 'SVT'])
def test_maps_are_a_quarter_and_an_eighth_rounding_up(config):
    backbone = build_backbone(config).set_train(False)
    assert backbone.out_channels == [4, 8]
    assert [m.shape for m in backbone(image(65, 50))] == [(1, 4, 17, 13), (1, 8, 9, 7)]


def test_layers_of_svt_attend_in_turn():
    kinds = [
        [type(layer).__name__ for layer in stage]
        for stage in build_backbone(dict(SVT, depths=(3, 1))).layers
    ]
    assert kinds == [['LSAEncoderLayer', 'GSAEncoderLayer', 'LSAEncoderLayer'], ['LSAEncoderLayer']]


def test_svt_gives_the_maps_of_all_stages_by_default():
    backbone = build_backbone(dict(SVT, out_indices=None, norm_after_stage=False))
    assert backbone.out_channels == [4, 8]
    assert not any('norm_list' in name for name in backbone.parameters_dict())


@pytest.mark.parametrize(
    ('size', 'seen'),
    [((4, 8), (slice(0, 4), slice(0, 4))), ((6, 6), (slice(0, 4), slice(0, 4)))],
    ids=['whole windows', 'padded windows'],
)
def test_a_pixel_sees_its_window_alone(size, seen):
    attention = LocallyGroupedSelfAttention(4, 2, window_size=4)
    h, w = size
    x = np.random.default_rng(0).normal(size=(1, h, w, 4)).astype(np.float32)
    other = x.copy()
    other[0, 0, 3] += 1.0
    results = [
        attention(ms.Tensor(each.reshape(1, h * w, 4)), size).asnumpy().reshape(h, w, 4)
        for each in (x, other)
    ]
    changed = abs(results[0] - results[1]).max(-1) > 1e-7
    expected = np.zeros(size, bool)
    expected[seen] = True
    np.testing.assert_array_equal(changed, expected)


def test_pixels_do_not_attend_to_the_padding():
    mask = padding_mask(3, 3, 2)
    assert mask.shape == (4, 1, 4, 4)
    assert not mask[0].any()
    # of the last window only the first pixel is one of the map
    np.testing.assert_array_equal(mask[3, 0, 0], [0, -1000, -1000, -1000])
    np.testing.assert_array_equal(mask[3, 0, 1], [-1000, 0, 0, 0])


def test_drop_path_rises_and_is_drawn_twice():
    backbone = build_backbone(dict(PCPVT, drop_path_rate=0.4))
    layers = [layer for stage in backbone.layers for layer in stage]
    rates = [
        [getattr(drop, 'ratio', 0.0) for drop in (layer.drop_path1, layer.attn.dropout_layer,
                                                  layer.drop_path2, layer.ffn.dropout_layer)]
        for layer in layers
    ]  # fmt: skip
    np.testing.assert_allclose(rates, [[0.0] * 4, [0.2] * 4, [0.4] * 4], rtol=1e-6)


def test_the_smallest_image_is_that_whose_maps_can_be_reduced():
    head = dict(type='FCNHead', in_channels=8, in_index=1, channels=4, num_classes=3)
    model = build_segmentor(dict(type='EncoderDecoder', backbone=PCPVT, decode_head=head))
    with pytest.raises(ValueError, match=r'PCPVT.*at least \(13, 13\)'):
        model.check_image_size((12, 64))
    assert build_backbone(PCPVT).set_train(False)(image(13, 13))[1].shape == (1, 8, 2, 2)
    assert build_backbone(dict(SVT, depths=(1, 1))).smallest_image == 1


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(num_heads=(1,)), 'num_heads.*at least 2 numbers, as many as depths'),
        (dict(num_heads=(1, 3)), 'num_heads.*3.*divisor of the 8 channels'),
        (dict(out_indices=(0, 2)), 'out_indices.*numbers from 0 to 1'),
        (dict(windiow_sizes=(7,)), 'windiow_sizes.*at least 2 numbers'),
        (dict(sr_ratios=(4, 0)), 'sr_ratios'),
        (dict(drop_path_rate=1.0), 'drop_path_rate'),
    ],
)
def test_bad_arguments(changes, message):
    with pytest.raises((ValueError, TypeError), match=message):
        build_backbone({**SVT, **changes})
