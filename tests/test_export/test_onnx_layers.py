"""Layers and functional code, compiled by MindSpore and run by ONNX Runtime."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

from msseg.export.passes import fold_graph
from msseg.export.writers import DISTINCT_SIZE
from msseg.models import build_neck
from msseg.models.analysis.read_graph import read_graph
from msseg.models.layers import AdaptiveAvgPool2d, BatchProduct, Conv2d, build_dropout
from msseg.models.layers.resize import resize, resize_nearest
from tests.test_export.graphs import run
from tests.test_models.test_layer_registries import ENTRIES

RNG = np.random.default_rng(0)
X = RNG.normal(size=(1, 6, 5, 7)).astype(np.float32)


def check(network, x=X):
    """Compare a network with what ONNX Runtime computes of it."""
    network.set_train(False)
    expected = network(ms.Tensor(x)).asnumpy()
    graph = read_graph(network, x.shape)
    fold_graph(graph)
    np.testing.assert_allclose(run(graph, x), expected, rtol=1e-4, atol=1e-5)


class Wrapped(nn.Cell):
    """A layer between convolutions, which fix the input and output of the graph."""

    def __init__(self, layer):
        super().__init__()
        self.first = Conv2d(6, 6, 1)
        self.layer = layer

    def construct(self, x):
        return self.layer(self.first(x))


def randomised(layer):
    for parameter in layer.get_parameters():
        if parameter.dtype == ms.float32:
            values = RNG.uniform(0.5, 1.5, parameter.shape)
            parameter.set_data(ms.Tensor(values, ms.float32))
    return layer


@pytest.mark.parametrize(('name', 'build'), ENTRIES)
def test_every_registered_layer(name, build):
    arguments = {'GN': dict(num_groups=3), 'IN': dict(affine=True)}.get(name, {})
    if name.startswith('deconv'):
        arguments = dict(kernel_size=3, stride=2, padding=1, output_padding=1)
    check(Wrapped(randomised(build(dict(arguments, type=name)))))


class Attention(nn.Cell):
    """Attention with split heads, a constant table of biases, a softmax and products."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Dense(6, 18)
        self.norm = nn.LayerNorm((6,), epsilon=1e-5)
        self.table = ms.Parameter(ms.Tensor(RNG.normal(size=(9, 2)), ms.float32))
        self.index = ms.Tensor(RNG.integers(0, 9, 35 * 35), ms.int32)
        self.product = BatchProduct(transpose_b=True)
        self.drop = build_dropout(dict(type='Dropout', drop_prob=0.3))

    def construct(self, x):
        n, c, h, w = x.shape
        tokens = self.norm(x.reshape(n, c, h * w).transpose(0, 2, 1))
        qkv = self.qkv(tokens).reshape(n, h * w, 3, 2, c // 2).transpose(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        bias = ops.gather(self.table, self.index, 0).reshape(h * w, h * w, 2).transpose(2, 0, 1)
        weights = self.product(q, k) * 0.5 + bias.expand_dims(0)
        y = ops.matmul(self.drop(ops.softmax(weights, axis=-1)), v)
        y = y.transpose(0, 2, 1, 3).reshape(n, h * w, c).transpose(0, 2, 1)
        return y.reshape(n, c, h, w) + x.mean((2, 3), keep_dims=True)


class Parts(nn.Cell):
    """Splitting, slicing with steps and from the end, sums and broadcasting."""

    def construct(self, x):
        first, second, third = ops.split(x, 2, axis=1)
        middle = second[:, :, 1:4:2, :][:, 1]
        total = ops.broadcast_to(third.sum(axis=(2, 3), keepdims=True), (1, 2, 5, 7))
        scale = ops.square(ops.rsqrt(ops.abs(x).mean() + 1))
        return first * total + middle.expand_dims(1)[:, :, -1:, :] * scale


@pytest.mark.parametrize('make', [Attention, Parts])
def test_functional_code(make):
    check(make())


class Enlarged(nn.Cell):
    """Half of the map, enlarged to the whole by repeating its pixels."""

    def __init__(self):
        super().__init__()
        self.always_resizes = False
        self.halve = Conv2d(6, 6, 3, stride=2, padding=1)

    def construct(self, x):
        return resize_nearest(self.halve(x), x.shape[2:], self.always_resizes)


@pytest.mark.parametrize(
    'make', [lambda: AdaptiveAvgPool2d(1), lambda: AdaptiveAvgPool2d(3), Enlarged]
)
def test_layers_whose_pixels_depend_on_the_size(make):
    check(Wrapped(make()))
    network = Wrapped(make()).set_train(False)
    network.layer.always_resizes = True
    check(network)
    graph = read_graph(network, (1, 6, *DISTINCT_SIZE))
    fold_graph(graph)
    for size in ((5, 7), (8, 3)):
        x = RNG.normal(size=(2, 6, *size)).astype(np.float32)
        expected = network(ms.Tensor(x)).asnumpy()
        np.testing.assert_allclose(run(graph, x, dynamic=True), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    'pool',
    [
        nn.MaxPool2d(3, 2, pad_mode='pad', padding=1),
        nn.MaxPool2d(2, 2, pad_mode='pad', ceil_mode=True),
        nn.AvgPool2d(2, 2, pad_mode='pad', ceil_mode=True, count_include_pad=False),
        nn.AvgPool2d(3, 2, pad_mode='pad', padding=1),
        nn.AvgPool2d(3, 2),
    ],
    ids=['max', 'max ceil', 'average ceil', 'average with zeros', 'average'],
)
def test_pooling(pool):
    check(Wrapped(pool))


class Necked(nn.Cell):
    """A neck of maps that are all the same one, and its results side by side."""

    def __init__(self, neck):
        super().__init__()
        self.neck = neck
        self.count = len(neck.in_channels)

    def construct(self, x):
        inputs = ()
        for _ in range(self.count):
            inputs = inputs + (x,)
        resized = ()
        for each in self.neck(inputs):
            resized = resized + (resize(each, x.shape[2:]),)
        return ops.concat(resized, axis=1)


@pytest.mark.parametrize(
    'config',
    [
        dict(type='MLANeck', in_channels=[6, 6], out_channels=4),
        dict(type='MultiLevelNeck', in_channels=[6, 6], out_channels=4, scales=[2, 0.5]),
        dict(type='Feature2Pyramid', embed_dim=6),
    ],
    ids=lambda config: config['type'],
)
def test_necks_of_transformers(config):
    check(Wrapped(Necked(randomised(build_neck(config)))))
