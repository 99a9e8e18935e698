"""Convolutions with kernels of each sample, and DMNet's head, which makes them."""

import mindspore as ms
import numpy as np
import pytest

from msseg.models import build_head
from msseg.models.layers import DynamicDepthwiseConv


def tensor(*shape, seed=0):
    return ms.Tensor(np.random.default_rng(seed).normal(size=shape), ms.float32)


def head(**options):
    defaults = dict(in_channels=6, in_index=0, channels=4, num_classes=3, norm_cfg=dict(type='BN'))
    return build_head(dict(dict(type='DMHead', **defaults), **options))


def convolved(x, kernels):
    """Every channel of every sample by its kernel, pixel by pixel."""
    size = kernels.shape[2]
    before = size // 2
    padded = np.pad(x, ((0, 0), (0, 0), *[(before, size - 1 - before)] * 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (2, 3))
    return np.einsum('nchwij,ncij->nchw', windows, kernels)


@pytest.mark.parametrize('size', [1, 2, 3, 4, 7])
def test_each_sample_has_its_own_kernels(size):
    x, kernels = tensor(2, 3, 5, 6), tensor(2, 3, size, size, seed=1)
    got = DynamicDepthwiseConv(size)(x, kernels).asnumpy()
    expected = convolved(x.asnumpy(), kernels.asnumpy())
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('size', [2, 3])
def test_a_graph_of_any_size_and_number_of_images_gives_the_same(size, graph_mode):
    layer = DynamicDepthwiseConv(size)
    layer.set_inputs(
        ms.Tensor(shape=[None, 3, None, None], dtype=ms.float32),
        ms.Tensor(shape=[None, 3, size, size], dtype=ms.float32),
    )
    for n, h, w in ((2, 5, 6), (1, 4, 9)):
        x, kernels = tensor(n, 3, h, w), tensor(n, 3, size, size, seed=1)
        expected = convolved(x.asnumpy(), kernels.asnumpy())
        np.testing.assert_allclose(layer(x, kernels).asnumpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('size', [1, 3])
def test_gradients_reach_maps_and_kernels(size):
    x, kernels = tensor(2, 3, 5, 6), tensor(2, 3, size, size, seed=1)
    target = tensor(2, 3, 5, 6, seed=2)
    layer = DynamicDepthwiseConv(size)
    of_map, of_kernels = ms.grad(lambda a, b: (layer(a, b) * target).sum(), (0, 1))(x, kernels)
    turned = np.ascontiguousarray(kernels.asnumpy()[..., ::-1, ::-1])
    expected = convolved(target.asnumpy(), turned)
    np.testing.assert_allclose(of_map.asnumpy(), expected, rtol=1e-4, atol=1e-5)
    padding = ((0, 0), (0, 0), *[(size // 2, size // 2)] * 2)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(x.asnumpy(), padding), (size, size), (2, 3)
    )
    expected = np.einsum('nchwij,nchw->ncij', windows, target.asnumpy())
    np.testing.assert_allclose(of_kernels.asnumpy(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('fusion', [False, True])
def test_names_are_mmsegmentations(fusion):
    layers = {
        p.name.rpartition('.')[0]
        for p in head(filter_sizes=(3,), fusion=fusion).get_parameters()
        if p.name.startswith('dcm_modules')
    }
    inner = {'filter_gen_conv', 'input_redu_conv.conv', 'input_redu_conv.bn', 'norm'}
    more = {'fusion_conv.conv', 'fusion_conv.bn'} if fusion else set()
    assert layers == {f'dcm_modules.0.{name}' for name in inner | more}


@pytest.mark.parametrize('sizes', [(), (0,), (1.5,)])
def test_bad_sizes_are_refused(sizes):
    with pytest.raises((TypeError, ValueError), match='DMHead: filter_sizes'):
        head(filter_sizes=sizes)


def test_layers_may_be_none():
    cell = head(norm_cfg=None, act_cfg=None, filter_sizes=(2,))
    assert cell((tensor(1, 6, 1, 2),)).shape == (1, 3, 1, 2)
