"""Swin Transformer."""

import mindspore as ms
import numpy as np
import pytest

from msseg.models import build_backbone
from msseg.models.backbones.swin import PatchMerging
from msseg.models.backbones.swin_attention import ShiftWindowMSA, WindowMSA, shift_mask
from tests.test_models.family_checks import image

SMALL = dict(
    type='SwinTransformer', embed_dims=4, depths=(2, 2), num_heads=(1, 2), strides=(4, 2),
    out_indices=(0, 1), window_size=4,
)  # fmt: skip


def test_maps_are_a_quarter_and_an_eighth_rounding_up():
    backbone = build_backbone(SMALL).set_train(False)
    assert backbone.out_channels == [4, 8]
    assert [m.shape for m in backbone(image(65, 50))] == [(1, 4, 17, 13), (1, 8, 9, 7)]


@pytest.mark.parametrize('stride', [1, 2, 3])
@pytest.mark.parametrize('size', [(4, 6), (5, 3)])
def test_merging_concatenates_channels_as_unfold_does(stride, size):
    layer = PatchMerging(3, 12, stride, norm_cfg=None)
    layer.reduction.weight.set_data(ms.Tensor(np.eye(12), ms.float32))
    x = np.random.normal(size=(2, 3, *size)).astype(np.float32)
    tokens = ms.Tensor(x.reshape(2, 3, -1).transpose(0, 2, 1))
    merged, (h, w) = layer(tokens, size)
    assert (h, w) == tuple(-(-length // stride) for length in size)
    padded = np.pad(x, ((0, 0), (0, 0), (0, 3), (0, 3)))
    blocks = [
        padded[:, :, i * stride : i * stride + 2, k * stride : k * stride + 2].reshape(2, 12)
        for i in range(h)
        for k in range(w)
    ]
    np.testing.assert_allclose(merged.asnumpy(), np.stack(blocks, axis=1), atol=1e-6)


@pytest.mark.parametrize('shift', [0, 2])
def test_a_pixel_sees_its_window_alone(shift):
    """A changed pixel changes exactly the pixels of its window, shifted windows' parts included."""
    attention = ShiftWindowMSA(WindowMSA(4, 2, 4), shift, None)
    mask = ms.Tensor(shift_mask(8, 8, 4))
    x = np.random.normal(size=(1, 8, 8, 4)).astype(np.float32)
    other = x.copy()
    other[0, 0, 3] += 1.0
    results = [
        attention(ms.Tensor(each.reshape(1, 64, 4)), (8, 8), mask).asnumpy().reshape(8, 8, 4)
        for each in (x, other)
    ]
    changed = abs(results[0] - results[1]).max(-1) > 1e-7
    expected = np.zeros((8, 8), bool)
    expected[(slice(0, 4), slice(0, 4)) if shift == 0 else (slice(0, 2), slice(2, 6))] = True
    np.testing.assert_array_equal(changed, expected)


def test_the_table_of_positions_is_resized_to_the_image():
    backbone = build_backbone(dict(SMALL, use_abs_pos_embed=True, pretrain_img_size=32))
    assert backbone.absolute_pos_embed.shape == (1, 64, 4)
    assert backbone.set_train(False)(image(40, 64))[0].shape == (1, 4, 10, 16)


def test_a_files_table_of_another_window_is_resized_head_by_head():
    attention = WindowMSA(4, 2, 4)
    rows, columns = np.mgrid[:13, :13]
    table = np.stack([rows, 2 * columns], axis=-1).reshape(169, 2).astype(np.float32)
    fitted = attention.fit_table('relative_position_bias_table', table).reshape(7, 7, 2)
    np.testing.assert_allclose(fitted[3, 3], [6, 12], atol=1e-5)  # the centre stays the centre
    np.testing.assert_allclose(fitted[..., 0], fitted[:, :1, 0].repeat(7, 1), atol=1e-5)
    np.testing.assert_allclose(fitted[..., 1], 2 * fitted[..., 0].T, atol=1e-5)
    assert attention.fit_table('relative_position_bias_table', table[:-1]) is None


@pytest.mark.parametrize(
    ('old', 'new', 'every', 'expected'),
    [
        (7, 12, 66, [-1.85267, -0.98809, -0.69632, 1.84252, -0.35053, 0.54366, 0.27098]),
        (12, 7, 21, [-0.33566, 0.33713, -1.11171, -0.24012, 0.69395, 0.03644, 0.55423]),
    ],
)
def test_biases_of_another_window_are_those_of_mmsegmentation(old, new, every, expected):
    """PyTorch's bicubic interpolation of a table of normal numbers, the second head."""
    table = np.random.default_rng(5).standard_normal(((2 * old - 1) ** 2, 3)).astype(np.float32)
    fitted = WindowMSA(6, 3, new).fit_table('relative_position_bias_table', table)
    np.testing.assert_allclose(fitted[::every, 1][:7], expected, atol=2e-5)


def test_a_files_positions_of_another_image_are_resized():
    backbone = build_backbone(dict(SMALL, use_abs_pos_embed=True, pretrain_img_size=(32, 16)))
    rows = np.arange(4, dtype=np.float32)[:, None, None]
    table = np.broadcast_to(rows, (4, 4, 4)).reshape(1, 16, 4)
    fitted = backbone.fit_table('absolute_pos_embed', table).reshape(8, 4, 4)
    np.testing.assert_allclose(fitted, fitted[:, :1, :1].repeat(4, 1).repeat(4, 2), atol=1e-6)
    assert (np.diff(fitted[:, 0, 0]) > 0).all() and fitted[..., 0].mean() == pytest.approx(1.5)
    assert backbone.fit_table('absolute_pos_embed', table[:, 1:]) is None
    assert backbone.fit_table('other', table) is None


def test_frozen_stages_neither_learn_nor_drop():
    backbone = build_backbone(
        dict(SMALL, frozen_stages=1, drop_rate=0.5, attn_drop_rate=0.5, drop_path_rate=0.5)
    ).set_train()
    trained = [name for name, p in backbone.parameters_and_names() if p.requires_grad]
    assert {name.split('.')[0] for name in trained} == {'stages', 'norm1'}
    assert {name.split('.')[1] for name in trained if name.startswith('stages')} == {'1'}
    x = image(16, 16)
    np.testing.assert_array_equal(backbone(x)[0].asnumpy(), backbone(x)[0].asnumpy())


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(num_heads=(1,)), 'num_heads.*2 numbers, as many as depths'),
        (dict(num_heads=(1, 3)), 'num_heads.*3.*divisor of the 8 channels'),
        (dict(strides=(2, 2)), 'strides.*patch_size=4'),
        (dict(out_indices=(2,)), 'out_indices.*numbers from 0 to 1'),
        (dict(frozen_stages=3), 'frozen_stages.*3.*at most the 2 stages'),
    ],
)
def test_bad_arguments(changes, message):
    with pytest.raises((ValueError, TypeError), match=message):
        build_backbone({**SMALL, **changes})
