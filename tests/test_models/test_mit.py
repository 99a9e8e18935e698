"""Mix Vision Transformer and SegFormer's head."""

import mindspore as ms
import numpy as np
import pytest

from msseg.models import build_backbone, build_head, build_segmentor
from tests.test_models.family_checks import image

SMALL = dict(
    type='MixVisionTransformer', embed_dims=4, num_layers=(1, 1, 1, 1), num_heads=(1, 2, 3, 4)
)
HEAD = dict(
    type='SegformerHead', in_channels=[4, 8], in_index=[0, 1], channels=4, num_classes=3,
    norm_cfg=dict(type='BN'),
)  # fmt: skip


def test_maps_are_a_quarter_to_a_thirty_second_rounding_up():
    backbone = build_backbone(dict(SMALL, out_indices=(3, 0))).set_train(False)
    assert backbone.out_channels == [4, 16]
    assert [m.shape for m in backbone(image(65, 97))] == [(1, 4, 17, 25), (1, 16, 3, 4)]


def test_initial_weights():
    backbone = build_backbone(dict(SMALL, embed_dims=32, num_layers=(1, 1, 1, 1)))
    weights = {name: p.asnumpy() for name, p in backbone.parameters_and_names()}
    inside = weights['layers.0.1.0.ffn.layers.1.weight']  # depthwise, 3x3
    assert inside.std() == pytest.approx((2 / 9) ** 0.5, rel=0.1)
    projection = weights['layers.3.1.0.attn.attn.out_proj.weight']
    assert projection.std() == pytest.approx(0.02, rel=0.15)
    assert not weights['layers.0.0.projection.bias'].any()


def test_the_smallest_image_is_that_whose_maps_can_be_reduced():
    assert build_backbone(SMALL).smallest_image == 29
    model = dict(
        type='EncoderDecoder',
        backbone=SMALL,
        decode_head=dict(HEAD, in_channels=[4, 8, 12, 16], in_index=[0, 1, 2, 3]),
    )
    with pytest.raises(ValueError, match=r'MixVisionTransformer.*at least \(29, 29\)'):
        build_segmentor(model).check_image_size((28, 64))
    backbone = build_backbone(SMALL).set_train(False)
    assert backbone(image(29, 29))[-1].shape == (1, 16, 1, 1)


def test_drop_path_rises_from_layer_to_layer():
    backbone = build_backbone(dict(SMALL, num_layers=(1, 1, 1, 2), drop_path_rate=0.4))
    rates = [
        layer.ffn.dropout_layer.ratio if hasattr(layer.ffn.dropout_layer, 'ratio') else 0.0
        for stage in backbone.layers
        for layer in stage[1]
    ]
    np.testing.assert_allclose(rates, [0.0, 0.1, 0.2, 0.3, 0.4], rtol=1e-6)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(num_heads=(1, 2)), 'num_heads.*4 numbers, as many as num_stages'),
        (dict(out_indices=(0, 4)), 'out_indices.*numbers from 0 to 3'),
        (dict(sr_ratios=(8, 4, 2, 0)), 'sr_ratios'),
        (dict(drop_path_rate=1.0), 'drop_path_rate'),
    ],
)
def test_bad_arguments(changes, message):
    with pytest.raises((ValueError, TypeError), match=message):
        build_backbone({**SMALL, **changes})


def test_maps_may_be_enlarged_by_nearest_pixels():
    maps = (ms.ops.ones((1, 4, 6, 8)), ms.Tensor(np.random.normal(size=(1, 8, 3, 4)), ms.float32))
    head = build_head(dict(HEAD, interpolate_mode='nearest')).set_train(False)
    enlarged = head.enlarge(maps[1], (6, 8)).asnumpy()
    np.testing.assert_array_equal(enlarged, maps[1].asnumpy().repeat(2, 2).repeat(2, 3))
    assert head(maps).shape == (1, 3, 6, 8)
    with pytest.raises((ValueError, TypeError), match="interpolate_mode.*'bilinear'"):
        build_head(dict(HEAD, interpolate_mode='cubic'))
