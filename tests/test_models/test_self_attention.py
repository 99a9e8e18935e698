"""Attention between pixels, and the head of ANN, which attends to averages."""

import mindspore as ms
import numpy as np
import pytest

from msseg.models import build_head
from msseg.models.layers import AdaptiveAvgPool2d, GridAverages, SelfAttentionBlock

BN = dict(type='BN')


def tensor(*shape, seed=0):
    return ms.Tensor(np.random.default_rng(seed).normal(size=shape), ms.float32)


def ann(**options):
    defaults = dict(
        in_channels=(6, 8), in_index=(0, 1), channels=4, project_channels=2, num_classes=3,
        key_pool_scales=(1, 3), norm_cfg=BN,
    )  # fmt: skip
    return build_head(dict(dict(type='ANNHead', **defaults), **options))


def projected(conv, x):
    weight, bias = conv.weight.asnumpy()[:, :, 0, 0], conv.bias.asnumpy()
    return np.einsum('kc,nchw->nkhw', weight, x) + bias[:, None, None]


@pytest.mark.parametrize('matmul_norm', [False, True])
def test_pixels_attend_to_those_of_the_other_map(matmul_norm):
    block = SelfAttentionBlock(5, 3, 4, 6, matmul_norm=matmul_norm)
    query_map, key_map = tensor(2, 3, 2, 3), tensor(2, 5, 3, 3, seed=1)
    query = projected(block.query_project, query_map.asnumpy())
    key = projected(block.key_project, key_map.asnumpy())
    value = projected(block.value_project, key_map.asnumpy())
    got = block(query_map, key_map).asnumpy()
    assert got.shape == (2, 6, 2, 3)
    for n, i, j in np.ndindex(2, 2, 3):
        products = np.einsum('c,chw->hw', query[n, :, i, j], key[n]) * (0.5 if matmul_norm else 1)
        weights = np.exp(products) / np.exp(products).sum()
        expected = np.einsum('hw,chw->c', weights, value[n])
        np.testing.assert_allclose(got[n, :, i, j], expected, rtol=1e-4, atol=1e-5)


def test_averages_of_all_grids_stand_in_a_row():
    x = tensor(1, 2, 6, 6)
    got = GridAverages([AdaptiveAvgPool2d(1), AdaptiveAvgPool2d(2)])(x).asnumpy()
    assert got.shape == (1, 2, 5)
    np.testing.assert_allclose(got[..., 0], x.asnumpy().mean((2, 3)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(got[..., 2], x.asnumpy()[..., :3, 3:].mean((2, 3)), rtol=1e-4)


@pytest.mark.parametrize('mode', [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
def test_a_shared_projection_has_a_copy_that_follows_it(mode):
    ms.set_context(mode=mode)
    try:
        block = SelfAttentionBlock(
            3, 3, 4, 3, share_key_query=True, key_query_norm=True, norm_cfg=BN
        ).set_train()
        original, copy = block.query_project, block.key_project
        assert not copy.trainable_params()
        original.conv.weight.set_data(tensor(4, 3, 1, 1, seed=1))
        x = tensor(2, 3, 4, 5)
        mean = original.conv(x).asnumpy().mean((0, 2, 3))
        block(x, x)
        for p, q in zip(copy.get_parameters(), original.get_parameters(), strict=True):
            np.testing.assert_array_equal(p.asnumpy(), q.asnumpy())
        # keys and queries update the statistics one after the other
        np.testing.assert_allclose(copy.bn.moving_mean.asnumpy(), 0.19 * mean, rtol=1e-4, atol=1e-6)
    finally:
        ms.set_context(mode=ms.PYNATIVE_MODE)


class TestANNHead:
    def test_names_are_mmsegmentations(self):
        layers = {
            p.name.rpartition('.')[0].removesuffix('.conv').removesuffix('.bn')
            for p in ann().get_parameters()
        }
        stages = {
            f'{part}.stages.0.{kind}_project'
            for part in ('fusion', 'context')
            for kind in ('key', 'query', 'value', 'out')
        }
        rest = {'fusion.bottleneck', 'context.bottleneck', 'bottleneck', 'conv_seg', 'dropout'}
        assert layers == stages | rest

    def test_projections_of_results_start_at_zero(self):
        head = ann(query_scales=(1, 2))
        for part in (head.fusion, head.context):
            for stage in part.stages:
                assert not any(p.asnumpy().any() for p in stage.out_project.get_parameters())

    def test_pixels_may_be_pooled_before_they_attend(self):
        head = ann(query_scales=(1, 2)).set_train(False)
        maps = (tensor(2, 6, 9, 11), tensor(2, 8, 7, 5))
        assert head(maps).shape == (2, 3, 7, 5)
        assert head.min_map_sizes == {1: 2}

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(in_channels=(6,), in_index=(0,)), r'ANNHead: .* in_channels \(6,\), expected'),
            (dict(input_transform='resize_concat'), "'resize_concat'.*expected 'multiple_select'"),
            (dict(query_scales=()), r'query_scales is \(\), expected a list'),
            (dict(query_scales=(0,)), r'query_scales is \(0,\)'),
            (dict(key_pool_scales=[0]), r'key_pool_scales is \[0\]'),
            (dict(project_channels=0), 'project_channels is 0'),
        ],
    )
    def test_what_does_not_fit_is_refused(self, options, message):
        with pytest.raises(ValueError, match=message):
            ann(**options)
