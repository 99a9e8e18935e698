"""Convolutions whose gradients are written out agree with MindSpore's."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.models.layers import Conv2d


class Plain(nn.Cell):
    """The same convolution, as MindSpore differentiates it."""

    def __init__(self, conv):
        super().__init__(auto_prefix=False)
        self.conv, self.operator = conv, conv.conv2d

    def construct(self, x):
        y = self.operator(x, self.conv.weight)
        return y if self.conv.bias is None else y + self.conv.bias.reshape(1, -1, 1, 1)


class Weighted(nn.Cell):
    def __init__(self, conv, factor):
        super().__init__(auto_prefix=False)
        self.conv, self.factor = conv, factor

    def construct(self, x):
        return (self.conv(x) * self.factor).sum()


def gradients(conv, x, factor, weights):
    """Return the gradients of x and of the weights, compiled as in a train step."""
    net = Weighted(conv, factor)
    found = ms.jit(ms.grad(net, 0, weights=weights))(x)
    return [found[0].asnumpy(), *(each.asnumpy() for each in found[1])]


def tensor(*shape, seed=0):
    return ms.Tensor(np.random.default_rng(seed).normal(size=shape), ms.float32)


@pytest.mark.parametrize(
    ('n', 'c_in', 'c_out', 'h', 'w', 'dilation', 'bias'),
    [
        (2, 1, 3, 15, 11, 1, True),
        (1, 4, 2, 5, 3, 1, False),  # the input's gradient is MindSpore's
        (3, 2, 5, 6, 14, 2, False),
        (2, 3, 2, 4, 5, 6, True),  # the outer taps see zeros alone
    ],
)
def test_gradients_are_those_of_the_plain_operator(n, c_in, c_out, h, w, dilation, bias):
    conv = Conv2d(c_in, c_out, 3, padding=dilation, dilation=dilation, bias=bias).set_train()
    assert conv.differentiable
    x, factor = tensor(n, c_in, h, w), tensor(n, c_out, h, w, seed=1)
    own = gradients(conv, x, factor, conv.trainable_params())
    plain = gradients(Plain(conv), x, factor, conv.trainable_params())
    assert len(own) == 3 if bias else len(own) == 2
    for one, other in zip(own, plain, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5 * np.abs(other).max())


@pytest.mark.parametrize(
    'options',
    [
        dict(stride=2, padding=1),
        dict(padding=0),
        dict(padding=1, dilation=2),
        dict(padding=(1, 2), dilation=(1, 2)),
        dict(padding=1, groups=2),
        dict(pad_mode='same'),
        dict(kernel_size=5, padding=2),
        dict(kernel_size=(3, 1), padding=(1, 0)),
    ],
)
def test_other_kinds_keep_the_plain_operator(options):
    kernel_size = options.pop('kernel_size', 3)
    assert not Conv2d(2, 2, kernel_size, **options).differentiable


def test_other_devices_and_types_keep_it(monkeypatch):
    assert not Conv2d(2, 2, 3, padding=1).to_float(ms.float16).differentiable
    assert Conv2d(2, 2, 3, padding=1).to_float(ms.float32).differentiable
    monkeypatch.setattr(ms, 'get_context', lambda key: 'Ascend')
    assert not Conv2d(2, 2, 3, padding=1).differentiable


def test_it_adds_no_layers_and_no_parameters():
    conv = Conv2d(2, 2, 3, padding=1)
    assert [name for name, _ in conv.cells_and_names()] == ['']
    assert [each.name for each in conv.get_parameters()] == ['weight', 'bias']
