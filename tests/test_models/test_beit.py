"""BEiT and MAE."""

import mindspore as ms
import numpy as np
import pytest

from msseg.models import build_backbone, build_segmentor
from msseg.models.backbones.beit import BEiTAttention, positions_with_class_token
from tests.test_models.family_checks import image

SMALL = dict(
    type='BEiT', img_size=(32, 48), embed_dims=4, num_layers=2, num_heads=2, out_indices=(1, 0)
)


def parameters(backbone):
    return {name: p.asnumpy() for name, p in backbone.parameters_and_names()}


def test_maps_of_the_chosen_layers_have_one_size():
    """Pixels that fill no patch are left out."""
    backbone = build_backbone(SMALL).set_train(False)
    assert backbone.out_channels == [4, 4]
    maps = backbone(image(32, 48))
    assert [m.shape for m in maps] == [(1, 4, 2, 3)] * 2
    larger = np.pad(image(32, 48).asnumpy(), ((0, 0), (0, 0), (0, 15), (0, 15)))
    np.testing.assert_array_equal(backbone(ms.Tensor(larger))[1].asnumpy(), maps[1].asnumpy())
    last = build_backbone(dict(SMALL, out_indices=-1))
    assert last.out_indices == (1,) and last.out_channels == [4]


def test_pairs_that_are_equally_far_apart_share_a_bias():
    index, width = positions_with_class_token(3, 4), 4
    by_distance = {}
    for a in range(12):
        for b in range(12):
            apart = (a // width - b // width, a % width - b % width)
            assert by_distance.setdefault(apart, index[1 + a, 1 + b]) == index[1 + a, 1 + b]
    assert sorted(by_distance.values()) == list(range(5 * 7))
    assert set(index[0, 1:]) == {35} and set(index[1:, 0]) == {36} and index[0, 0] == 37


# The second column of what MMSegmentation 1.2.2's BEiT.resize_rel_pos_embed, with SciPy 1.11, makes
# of a table of normal numbers: by the sides of the old map and the new one, and every so many rows.
RESIZED = {
    (3, 4, 9): [-1.32436, 2.30956, -1.16323, -0.17316, 1.06458, 0.03306],
    (4, 3, 5): [-1.15186, 0.01749, 0.00581, 0.64681, -0.85544, -0.47864],
    (14, 32, 496): [
        -1.32439, -0.52903, -0.26997, -0.36691, -0.1064, -0.24082, -1.69379, 0.50846, 0.40988,
    ],
}  # fmt: skip
BIASES = 'relative_position_bias_table'


@pytest.mark.parametrize('case', RESIZED)
def test_a_files_biases_of_another_image_are_resized_as_by_mmsegmentation(case):
    old, new, every = case
    table = np.random.default_rng(5).standard_normal(((2 * old - 1) ** 2 + 3, 2))
    attention = BEiTAttention(8, 2, (new, new))
    fitted = attention.fit_table(BIASES, table.astype(np.float32))
    assert fitted.shape == attention.relative_position_bias_table.shape
    np.testing.assert_allclose(fitted[::every, 1], RESIZED[case], atol=2e-5)
    np.testing.assert_array_equal(fitted[-3:], table[-3:].astype(np.float32))


def test_biases_of_an_oblong_map_are_resized_axis_by_axis():
    fit = BEiTAttention(8, 2, (2, 4)).fit_table
    table = np.random.default_rng(0).random((12, 2)).astype(np.float32)
    fitted = fit(BIASES, table)[:-3].reshape(3, 7, 2)
    np.testing.assert_allclose(fitted[:, 2:5], table[:-3].reshape(3, 3, 2), atol=1e-6)
    assert fit(BIASES, table[:7]) is None and fit(BIASES, table[:2]) is None


def test_positions_of_another_image_are_resized_as_by_mmsegmentation():
    backbone = build_backbone(dict(SMALL, type='MAE', img_size=64, embed_dims=8))
    table = np.random.default_rng(5).standard_normal((1, 1 + 14 * 14, 8)).astype(np.float32)
    fitted = backbone.fit_table('pos_embed', table)
    assert fitted.shape == backbone.pos_embed.shape
    expected = [0.42045, 0.22456, -0.82415, 0.34649, 0.28294, -0.22459, -1.43898, 1.37989, 0.81965]
    np.testing.assert_allclose(fitted[0, :9, 3], expected, atol=2e-5)


def test_initial_weights():
    weights = parameters(build_backbone(dict(SMALL, embed_dims=64, init_values=0.25)))
    assert set(weights['layers.1.gamma_2']) == {0.25}
    assert weights['layers.1.attn.qkv.weight'].std() == pytest.approx(0.02, rel=0.15)
    assert weights['patch_embed.projection.weight'].std() == pytest.approx(
        (2 / 768) ** 0.5, rel=0.1
    )
    assert 0 < abs(weights['layers.0.ffn.layers.1.bias']).max() < 1e-5
    assert weights['cls_token'].std() == pytest.approx(0.02, rel=0.4)
    assert not weights['layers.0.attn.relative_position_bias_table'].any()


@pytest.mark.parametrize(
    ('changes', 'biases'),
    [
        ({}, {'q_bias', 'v_bias', 'proj.bias'}),
        (dict(qv_bias=False), {'proj.bias'}),
        (dict(type='MAE'), {'qkv.bias', 'proj.bias'}),
    ],
)
def test_biases_of_the_attention(changes, biases):
    start = 'layers.0.attn.'
    names = parameters(build_backbone({**SMALL, **changes}))
    found = {name.removeprefix(start) for name in names if name.startswith(start)}
    assert {name for name in found if name.endswith('bias')} == biases


def test_positions_of_mae_are_added_to_the_tokens():
    backbone = build_backbone(dict(SMALL, type='MAE')).set_train(False)
    assert backbone.pos_embed.shape == (1, 1 + 2 * 3, 4)
    x = image(32, 48)
    before = backbone(x)[1].asnumpy()
    table = np.zeros((1, 7, 4), np.float32)
    table[:, 0] = [0, 1, 2, 3]  # of the class token, which the patches attend to
    backbone.pos_embed.set_data(ms.Tensor(table))
    assert abs(backbone(x)[1].asnumpy() - before).max() > 1e-6


def test_drop_path_rises_from_layer_to_layer():
    backbone = build_backbone(dict(SMALL, num_layers=3, drop_path_rate=0.4))
    rates = [getattr(layer.drop_path, 'ratio', 0.0) for layer in backbone.layers]
    np.testing.assert_allclose(rates, [0.0, 0.2, 0.4])


@pytest.mark.parametrize('size', [(31, 48), (32, 64), (48, 32)])
def test_images_of_another_size_are_refused_in_one_line(size):
    head = dict(type='FCNHead', in_channels=4, channels=4, num_classes=3, in_index=1)
    model = build_segmentor(dict(type='EncoderDecoder', backbone=SMALL, decode_head=head))
    model.check_image_size((47, 63))
    with pytest.raises(ValueError, match=r'BEiT.*\(32, 48\), for which.*img_size') as raised:
        model.check_image_size(size)
    assert '\n' not in str(raised.value)
    with pytest.raises(ValueError, match='another size'):
        build_backbone(SMALL)(image(*size))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(num_heads=3), 'num_heads.*3.*divisor of embed_dims=4'),
        (dict(out_indices=(0, 2)), 'out_indices.*numbers from 0 to 1'),
        (dict(out_indices=(-1, 0)), 'out_indices.*numbers from 0 to 1'),
        (dict(img_size=(8, 32)), 'img_size.*at least patch_size=16'),
        (dict(img_size=(32, 32, 32)), 'img_size'),
        (dict(init_values=None), 'init_values'),
    ],
)
@pytest.mark.parametrize('kind', ['BEiT', 'MAE'])
def test_bad_arguments(kind, changes, message):
    with pytest.raises((ValueError, TypeError), match=f'{kind}.*{message}'):
        build_backbone({**SMALL, 'type': kind, **changes})
