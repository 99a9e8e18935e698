"""Vision Transformer."""

import mindspore as ms
import numpy as np
import pytest

from msseg.models import build_backbone, build_segmentor
from tests.test_models.family_checks import image
from tests.tiny_families import head, model

SMALL = dict(
    type='VisionTransformer', img_size=32, patch_size=8, embed_dims=4, num_layers=2, num_heads=2
)


def test_maps_have_the_size_of_the_patches_rounding_up():
    backbone = build_backbone(dict(SMALL, out_indices=(1, 0))).set_train(False)
    assert (backbone.out_channels, backbone.out_strides) == ([4, 4], [8, 8])
    assert [m.shape for m in backbone(image(33, 50))] == [(1, 4, 5, 7)] * 2


def test_the_last_layer_alone_by_default():
    backbone = build_backbone(SMALL).set_train(False)
    every = build_backbone(dict(SMALL, out_indices=(0, 1))).set_train(False)
    ms.load_param_into_net(every, backbone.parameters_dict())
    x = image(32, 32)
    assert backbone.out_indices == (1,)
    np.testing.assert_array_equal(backbone(x)[0].asnumpy(), every(x)[1].asnumpy())


def test_initial_weights():
    backbone = build_backbone(dict(SMALL, embed_dims=64))
    weights = {name: p.asnumpy() for name, p in backbone.parameters_and_names()}
    assert weights['patch_embed.projection.weight'].std() == pytest.approx((2 / 192) ** 0.5, 0.1)
    assert weights['layers.0.attn.attn.out_proj.weight'].std() == pytest.approx(0.02, rel=0.15)
    assert weights['pos_embed'].std() == pytest.approx(0.02, rel=0.15)
    assert 0 < abs(weights['layers.1.ffn.layers.1.bias']).max() < 1e-4


@pytest.mark.parametrize('mode', ['bicubic', 'bilinear'])
def test_positions_of_another_size_are_resized(mode):
    """A table that rises evenly from row to row does so after it is enlarged, but for the ends."""
    backbone = build_backbone(dict(SMALL, interpolate_mode=mode))
    table = np.zeros((1, 17, 4), np.float32)
    table[0, 0] = 9.0
    table[0, 1:] = np.repeat(np.arange(4.0), 4)[:, None]
    backbone.pos_embed.set_data(ms.Tensor(table))
    resized = backbone.positions((8, 3)).asnumpy()
    assert resized.shape == (1, 25, 4)
    assert (resized[0, 0] == 9.0).all()
    rows = resized[0, 1:].reshape(8, 3, 4)
    np.testing.assert_allclose(rows, rows[:, :1, :1].repeat(3, 1).repeat(4, 2), atol=1e-6)
    np.testing.assert_allclose(rows[3:5, 0, 0], [1.25, 1.75], atol=0.05)


@pytest.mark.parametrize('mode', ['bicubic', 'bilinear', 'nearest'])
def test_a_files_table_is_resized_as_the_network_resizes_its_own(mode):
    source = build_backbone(dict(SMALL, img_size=48, interpolate_mode=mode))
    backbone = build_backbone(dict(SMALL, img_size=(32, 40), interpolate_mode=mode))
    fitted = backbone.fit_table('pos_embed', source.pos_embed.asnumpy())
    assert fitted.shape == backbone.pos_embed.shape
    np.testing.assert_allclose(fitted, source.positions((4, 5)).asnumpy(), atol=1e-6)
    assert backbone.fit_table('pos_embed', np.zeros((1, 8, 4), np.float32)) is None  # no square
    assert backbone.fit_table('cls_token', np.zeros((1, 5, 4), np.float32)) is None


def test_positions_are_left_as_they_are_for_as_many_patches():
    backbone = build_backbone(SMALL)
    assert backbone.positions((2, 8)) is backbone.pos_embed


def test_the_class_token_reaches_the_map_by_attention_alone():
    x = image(32, 32)
    results = []
    for with_cls_token in (True, False):
        backbone = build_backbone(dict(SMALL, with_cls_token=with_cls_token)).set_train(False)
        rng = np.random.default_rng(0)
        for parameter in backbone.get_parameters():
            values = rng.normal(0, 0.3, parameter.shape)
            parameter.set_data(ms.Tensor(values, ms.float32))
        before = backbone(x)[0].asnumpy()
        backbone.cls_token.set_data(-backbone.cls_token)
        results.append(np.abs(backbone(x)[0].asnumpy() - before).max())
    assert results[0] > 1e-3
    assert results[1] == 0


def test_each_map_with_its_class_token():
    backbone = build_backbone(dict(SMALL, out_indices=(0, 1), output_cls_token=True))
    outputs = backbone.set_train(False)(image(24, 40))
    assert [(m.shape, token.shape) for m, token in outputs] == [((1, 4, 3, 5), (1, 4))] * 2


def test_class_tokens_need_a_head_that_reads_them():
    backbone = dict(SMALL, output_cls_token=True)
    readers = head('FCNHead', in_channels=4, in_index=0)
    with pytest.raises(ValueError, match=r'output_cls_token.*FCNHead reads maps'):
        build_segmentor(model(readers, backbone))
    with pytest.raises(ValueError, match=r'output_cls_token.*MultiLevelNeck reads maps'):
        neck = dict(type='MultiLevelNeck', in_channels=[4], out_channels=4)
        build_segmentor(model(readers, backbone, neck=neck))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(num_heads=3), 'num_heads.*3.*embed_dims=4'),
        (dict(out_indices=(0, 2)), 'out_indices.*numbers from 0 to 1'),
        (dict(out_indices=(-1,)), 'out_indices'),
        (dict(img_size=(32, 4)), 'img_size.*at least patch_size=8'),
        (dict(img_size=(32, 32, 32)), 'img_size.*one or two numbers'),
        (dict(with_cls_token=False, output_cls_token=True), 'output_cls_token.*with_cls_token'),
        (dict(interpolate_mode='cubic'), "interpolate_mode.*'bicubic'"),
    ],
)
def test_bad_arguments(changes, message):
    with pytest.raises((ValueError, TypeError), match=message):
        build_backbone({**SMALL, **changes})
