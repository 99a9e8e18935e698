"""SegNeXt: MSCAN and LightHamHead."""

import mindspore as ms
import numpy as np
import pytest

from msseg.models import build_backbone, build_head, build_segmentor
from msseg.models.decode_heads.ham_head import NMF2D
from tests.test_models.family_checks import image
from tests.test_models.mmseg122 import NUM_CLASSES, ROWS, assert_logits, assert_training_pass
from tests.test_models.reference_weights import load_filled

BACKBONE = dict(
    type='MSCAN', embed_dims=[4, 6, 8], mlp_ratios=[2, 2, 1], depths=[1, 2, 1], num_stages=3,
    norm_cfg=dict(type='BN', requires_grad=True),
)  # fmt: skip
HEAD = dict(
    type='LightHamHead', in_channels=[4, 6, 8], in_index=[0, 1, 2], channels=8, ham_channels=8,
    num_classes=NUM_CLASSES, dropout_ratio=0, norm_cfg=dict(type='GN', num_groups=2),
)  # fmt: skip


def build(**ham_kwargs):
    head = dict(HEAD, ham_kwargs=ham_kwargs)
    return build_segmentor(dict(type='EncoderDecoder', backbone=BACKBONE, decode_head=head))


def test_with_the_same_bases_all_is_that_of_mmsegmentation():
    name, model = 'segnext', build(MD_S=2, MD_R=3, rand_init=False, inv_t=100)
    load_filled(model, ROWS[name]['names'])
    bases = model.decode_head.hamburger.ham.bases
    bases.set_data(bases.abs())
    assert_logits(name, model)
    assert_training_pass(name, model)


def test_with_the_bases_of_evaluation_logits_are_those_of_mmsegmentation():
    """Where the bases that it draws are replaced by ours."""
    name, model = 'segnext_random', build(MD_R=4, eval_steps=5)
    load_filled(model, ROWS[name]['names'])
    assert_logits(name, model)


def positive(height, width, n=1, channels=8):
    return image(height, width, n=n, channels=channels).abs()


def test_in_evaluation_an_image_has_one_result():
    x = positive(4, 5, n=2)
    first, second = NMF2D(8, num_bases=3).set_train(False), NMF2D(8, num_bases=3).set_train(False)
    expected = first(x).asnumpy()
    np.testing.assert_array_equal(second.set_train().set_train(False)(x).asnumpy(), expected)
    np.testing.assert_allclose(first(x[1:]).asnumpy(), expected[1:], atol=1e-6)
    assert int(first.state[1]) == 0


def test_in_training_bases_differ_by_image_and_call_and_follow_the_state():
    ham, x = NMF2D(8, num_bases=3, train_steps=1).set_train(), positive(4, 5)
    state = ham.state.asnumpy().copy()
    one, two = ham(x).asnumpy(), ham(x).asnumpy()
    assert np.abs(one - two).max() > 1e-3
    ham.state.set_data(ms.Tensor(state))
    np.testing.assert_array_equal(ham(x).asnumpy(), one)
    bases = ham.first_bases(2).asnumpy()
    assert bases.shape == (2, 1, 8, 3) and np.abs(bases[0] - bases[1]).max() > 0.1
    np.testing.assert_allclose((bases**2).sum(2), 1, rtol=1e-5)
    assert bases.min() >= 0


def test_bases_that_are_drawn_once_are_saved_and_not_trained():
    ham, x = NMF2D(8, num_bases=3, rand_init=False).set_train(), positive(4, 5)
    np.testing.assert_array_equal(ham(x).asnumpy(), ham(x).asnumpy())
    assert ham.parameters_dict()['bases'].shape == (1, 8, 3)
    assert not ham.trainable_params()
    assert not hasattr(NMF2D(8), 'bases')


@pytest.mark.parametrize('groups', [1, 2])
def test_steps_approximate_a_map_of_as_few_bases(groups):
    rng = np.random.default_rng(0)
    width = 8 // groups
    blocks = [rng.random((width, 2)) @ rng.random((2, 30)) for _ in range(groups)]
    x = np.concatenate(blocks).reshape(1, 8, 5, 6)
    off = [
        np.abs(ham.set_train(False)(ms.Tensor(x, ms.float32)).asnumpy() - x).mean()
        for ham in (NMF2D(8, groups, 2, eval_steps=steps) for steps in (50, 7, 0))
    ]
    assert off[0] < 0.01 < 0.02 < off[2] and off[0] < off[1] < off[2]


def test_maps_are_halved_rounding_up_and_images_may_be_tiny():
    backbone = build_backbone(dict(BACKBONE, in_channels=4)).set_train(False)
    assert backbone.out_channels == [4, 6, 8]
    shapes = [m.shape for m in backbone(image(33, 57, channels=4))]
    assert shapes == [(1, 4, 9, 15), (1, 6, 5, 8), (1, 8, 3, 4)]
    assert backbone(image(1, 1, channels=4))[2].shape == (1, 8, 1, 1)


def test_other_kernels():
    backbone = build_backbone(
        dict(
            BACKBONE,
            attention_kernel_sizes=[(3, 5), (1, 3), (5, 1), (3, 5)],
            attention_kernel_paddings=[(1, 2), (0, 1), (2, 0), (1, 2)],
        )
    )
    unit = backbone.block1[0].attn.spatial_gating_unit
    convs = ('conv0', 'conv0_1', 'conv0_2', 'conv2_1', 'conv2_2')
    sizes = [getattr(unit, name).weight.shape[2:] for name in convs]
    assert sizes == [(3, 5), (1, 3), (3, 1), (3, 5), (5, 3)]
    assert backbone.set_train(False)(image(32, 40))[0].shape == (1, 4, 8, 10)


def test_drop_path_rises_and_drops_in_training_alone():
    backbone = build_backbone(dict(BACKBONE, drop_path_rate=0.5, drop_rate=0.5))
    ratios = [getattr(backbone.block2[i].drop_path, 'ratio', 0.0) for i in (0, 1)]
    np.testing.assert_allclose(ratios, [0.5 / 3, 1 / 3])
    x = image(16, 16, n=4)
    backbone.set_train()
    assert np.abs(backbone(x)[2].asnumpy() - backbone(x)[2].asnumpy()).max() > 0
    backbone.set_train(False)
    np.testing.assert_array_equal(backbone(x)[2].asnumpy(), backbone(x)[2].asnumpy())


def test_a_setting_without_effect_is_reported(caplog):
    build_head(dict(HEAD, ham_kwargs=dict(inv_t=37)))
    assert 'inv_t=37 has no effect' in caplog.text


KERNELS = 'attention_kernel_sizes'
PADDINGS = 'attention_kernel_paddings'


@pytest.mark.parametrize(
    ('part', 'changes', 'message'),
    [
        (BACKBONE, dict(depths=[1, 2]), 'depths.*at least 3 numbers, as many as num_stages'),
        (BACKBONE, dict(embed_dims=[1, 2, 3]), 'embed_dims.*at least 2 channels in the first'),
        (BACKBONE, {KERNELS: [5, 7, 11, 21]}, r'attention_kernel_sizes.*pairs \(height, width\)'),
        (BACKBONE, {KERNELS: [5, (1, 7)]}, r'attention_kernel_sizes.*a number and 3 pairs'),
        (BACKBONE, {PADDINGS: [2, (0, 3), (0, 5), (0, 9)]}, 'paddings.*maps keep their size'),
        (BACKBONE, {KERNELS: [4, (1, 7), (1, 11), (1, 21)]}, 'paddings.*which must be odd'),
        (BACKBONE, dict(drop_path_rate=1.0), 'drop_path_rate'),
        (HEAD, dict(ham_kwargs=dict(MD_S=3)), 'ham_kwargs.MD_S.*a divisor of ham_channels=8'),
        (HEAD, dict(ham_kwargs=dict(MD_T=3)), "ham_kwargs takes no 'MD_T'.*Did you mean 'MD_"),
        (HEAD, dict(ham_kwargs=dict(MD_R=0)), 'ham_kwargs.MD_R is 0'),
        (HEAD, dict(ham_kwargs=dict(rand_init=1)), 'ham_kwargs.rand_init'),
        (HEAD, dict(in_channels=8, in_index=2), 'in_channels'),
        (HEAD, dict(input_transform='resize_concat'), "input_transform.*'multiple_select'"),
    ],
)
def test_bad_arguments(part, changes, message):
    build_part = build_backbone if part is BACKBONE else build_head
    with pytest.raises((ValueError, TypeError, KeyError), match=message):
        build_part({**part, **changes})
