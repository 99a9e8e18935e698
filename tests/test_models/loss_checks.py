"""What the tests of losses share: small data, and gradients by finite differences."""

import mindspore as ms
import numpy as np
from mindspore import nn

N, C, H, W = 2, 4, 3, 5
IGNORE = 255
WEIGHTS = [0.5, 1.0, 2.0, 3.5]


def make_data(channels=C, size=(H, W), seed=0, absent=None):
    """Logits and labels, a fifth of them ignored; `absent`: a class that no pixel has."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(N, channels, *size)) * 2
    labels = rng.integers(0, max(channels, 2), (N, *size))
    labels[labels == absent] = 0
    labels[rng.random(labels.shape) < 0.2] = IGNORE
    return logits, labels


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


class _Gradient(nn.Cell):
    def __init__(self, loss, arguments):
        super().__init__()
        self.loss = loss
        self.arguments = arguments
        self.grad = ms.value_and_grad(self.run)

    def run(self, logits, labels, weight):
        return self.loss(logits, labels, weight, *self.arguments).sum()

    def construct(self, logits, labels, weight):
        return self.grad(logits, labels, weight)


def evaluate(loss, logits, labels, weight=None, ignore_index=IGNORE, **more):
    weight = None if weight is None else ms.Tensor(weight, ms.float32)
    value = loss(
        ms.Tensor(logits, ms.float32), ms.Tensor(labels, ms.int32), weight, ignore_index, **more
    )
    assert value.dtype == ms.float32
    return value.asnumpy()


def value_and_gradient(loss, logits, labels, weight=None, ignore_index=IGNORE):
    """The loss's sum and its gradient, in the mode that is set."""
    weight = None if weight is None else ms.Tensor(weight, ms.float32)
    value, gradient = _Gradient(loss, (ignore_index,))(
        ms.Tensor(logits, ms.float32), ms.Tensor(labels, ms.int32), weight
    )
    return float(value), gradient.asnumpy()


def numeric_gradient(function, logits, places, step=1e-5):
    """The gradient at `places`, one index array per axis."""
    result = []
    for place in zip(*places, strict=True):
        high, low = logits.copy(), logits.copy()
        high[place] += step
        low[place] -= step
        result.append((function(high) - function(low)) / (2 * step))
    return np.array(result)


def assert_matches(loss, reference, logits, labels, weight=None, ignore_index=IGNORE, places=None):
    """Value and gradient are those of `reference(logits)`, a float64 function.

    `places` is how many of the logits have their gradient checked, at random; None: all.
    """
    value, gradient = value_and_gradient(loss, logits, labels, weight, ignore_index)
    np.testing.assert_allclose(value, reference(logits), rtol=1e-5)
    chosen = np.arange(logits.size)
    if places is not None:
        chosen = np.random.default_rng(1).permutation(chosen)[:places]
    chosen = np.unravel_index(chosen, logits.shape)
    expected = numeric_gradient(reference, logits, chosen)
    np.testing.assert_allclose(
        gradient[chosen], expected, rtol=1e-4, atol=2e-5 * abs(expected).max()
    )
