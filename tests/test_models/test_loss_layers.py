"""The layers that losses are made of."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

from msseg.models.analysis.read_graph import read_graph
from msseg.models.layers import (
    ChannelSoftmax,
    DescendingOrder,
    GramMatrix,
    LabelLogProb,
    RankedValue,
    Softplus,
)
from msseg.models.layers.pixelwise import RowSoftmax, row_softmax
from msseg.utils.target import assume_target
from tests.test_models.loss_checks import softmax


def test_softmax_and_its_gradient():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 5, 3, 4)) * 30
    weights = rng.normal(size=x.shape)
    weigh = ms.Tensor(weights, ms.float32)
    layer = ChannelSoftmax()
    gradient = ms.grad(lambda z: (layer(z) * weigh).sum())(ms.Tensor(x, ms.float32)).asnumpy()
    p = softmax(x)
    np.testing.assert_allclose(layer(ms.Tensor(x, ms.float32)).asnumpy(), p, atol=1e-6)
    expected = p * (weights - (p * weights).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(gradient, expected, atol=1e-5)


@pytest.mark.parametrize('dtype, tolerance', [(ms.float32, 1e-6), (ms.float16, 2e-3)])
def test_softmax_of_rows_and_its_gradient(dtype, tolerance):
    rng = np.random.default_rng(0)
    x, weights = (ms.Tensor(rng.normal(size=(2, 3, 4, 7)) * 3, dtype) for _ in range(2))
    own, usual = RowSoftmax(-1), nn.Softmax(-1)
    assert type(row_softmax()) is RowSoftmax
    with assume_target('GPU'):
        assert type(row_softmax()) is nn.Softmax
    gradients = [ms.grad(lambda z, f=f: (f(z) * weights).sum())(x) for f in (own, usual)]
    assert gradients[0].dtype == dtype
    np.testing.assert_array_equal(own(x).asnumpy(), usual(x).asnumpy())
    np.testing.assert_allclose(*(g.asnumpy() for g in gradients), atol=tolerance)


class AtZeros(nn.Cell):
    """The log-probability of class 0."""

    def __init__(self):
        super().__init__()
        self.log_prob = LabelLogProb()
        self.labels = ops.zeros((2, 6, 4), ms.int32)

    def construct(self, x):
        return self.log_prob(x, self.labels)


@pytest.mark.parametrize('layer', [AtZeros, ChannelSoftmax])
def test_no_operator_at_the_logits_size_broadcasts(layer):
    """On the CPU it would keep indices of four times its result's size."""
    graph = read_graph(layer(), (2, 5, 6, 4))
    large = [node for node in graph.nodes if node.op in ('Sub', 'Mul', 'Add', 'RealDiv')
             and np.prod(node.shape) >= 2 * 5 * 6 * 4]  # fmt: skip
    assert large
    for node in large:
        assert {graph.shape_of(name) for name in node.inputs[:2]} == {node.shape}


def test_softplus_is_finite_at_both_ends_and_smooth_in_the_middle():
    x = np.array([-80, -30, -12, -1, 0, 1, 12, 30, 80, 1e4], np.float32)
    value, gradient = ms.value_and_grad(lambda z: Softplus()(z).sum())(ms.Tensor(x))
    exact = np.logaddexp(0, x.astype(np.float64))
    np.testing.assert_allclose(Softplus()(ms.Tensor(x)).asnumpy(), exact, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient.asnumpy(), np.exp(x - exact), rtol=1e-4)
    assert float(value) == pytest.approx(exact.sum(), rel=1e-6)


@pytest.mark.parametrize('compile_cache', ['0', '1'])
def test_descending_order(monkeypatch, compile_cache):
    """The compile cache keeps no Python functions: with it, the order is an operator's."""
    monkeypatch.setenv('MS_COMPILER_CACHE_ENABLE', compile_cache)
    x = np.random.default_rng(0).permutation(24).reshape(3, 8).astype(np.float32)
    layer = DescendingOrder()
    assert layer.on_host == (compile_cache == '0')
    np.testing.assert_array_equal(layer(ms.Tensor(x)).asnumpy(), np.argsort(-x, axis=1))
    assert layer(ms.Tensor(x)).dtype == ms.int32
    gradient = ms.grad(lambda z: (z * layer(z)).sum())(ms.Tensor(x))
    np.testing.assert_array_equal(gradient.asnumpy(), np.argsort(-x, axis=1))


@pytest.mark.parametrize('compile_cache', ['0', '1'])
@pytest.mark.parametrize('rank', [0, 2, 5])
def test_value_of_a_rank(monkeypatch, compile_cache, rank, graph_mode):
    monkeypatch.setenv('MS_COMPILER_CACHE_ENABLE', compile_cache)
    x = ms.Tensor([4.0, -1.0, 7.0, 7.0, 0.0, 5.0])
    layer = RankedValue()
    assert layer.on_host == (compile_cache == '0')
    value = layer(x, ms.Tensor(rank, ms.int32), 6)
    assert value.shape == () and float(value) == [7, 7, 5, 4, 0, -1][rank]


@pytest.mark.parametrize('compile_cache', ['0', '1'])
def test_gram_matrix_and_its_gradient(monkeypatch, compile_cache):
    monkeypatch.setenv('MS_COMPILER_CACHE_ENABLE', compile_cache)
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(2, 3, 4, 50)), rng.normal(size=(2, 3, 4, 4))
    layer, weigh = GramMatrix(), ms.Tensor(weights)
    assert layer.on_host == (compile_cache == '0')
    np.testing.assert_allclose(layer(ms.Tensor(x)).asnumpy(), x @ x.swapaxes(2, 3), rtol=1e-12)
    gradient = ms.grad(lambda z: (layer(z) * weigh).sum())(ms.Tensor(x)).asnumpy()
    np.testing.assert_allclose(gradient, (weights + weights.swapaxes(2, 3)) @ x, rtol=1e-9)
