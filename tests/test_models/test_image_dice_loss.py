"""ImageDiceLoss: numbers of MMSegmentation 1.2.2's DiceLoss, in float64 by PyTorch 2.13."""

import mindspore as ms
import numpy as np
import pytest

from msseg.models import build_loss


def make_data():
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((2, 3, 5, 6)) * 2
    labels = rng.integers(0, 3, (2, 5, 6))
    labels[:, 0] = 255
    one = rng.standard_normal((2, 1, 5, 6))
    return tuple(ms.Tensor(x.astype(np.float32)) for x in (logits, one)), ms.Tensor(
        labels.astype(np.int32)
    )


@pytest.mark.parametrize(
    ('options', 'expected', 'gradient'),
    [
        ({}, 0.540104, 0.167332),
        (dict(use_sigmoid=False), 0.572827, 0.286409),
        (dict(naive_dice=True, eps=0.5), 0.624581, 0.127158),
        (dict(activate=False), 0.977093, 0.158939),
        (dict(ignore_index=1, reduction='sum', loss_weight=2.0), 2.331973, 0.641732),
        (dict(reduction='none'), [0.514253, 0.565956], 0.334663),
    ],
)
def test_value_and_gradient_are_those_of_mmsegmentation(options, expected, gradient):
    (logits, _), labels = make_data()
    loss = build_loss(dict(type='ImageDiceLoss', **options))
    np.testing.assert_allclose(loss(logits, labels).asnumpy(), expected, atol=2e-6)
    grad = ms.grad(lambda x: loss(x, labels).sum())(logits)
    assert float(grad.abs().sum()) == pytest.approx(gradient, rel=1e-4)


@pytest.mark.parametrize(('use_sigmoid', 'expected'), [(True, 0.653021), (False, 1.085630)])
def test_one_channel(use_sigmoid, expected):
    (_, one), labels = make_data()
    loss = build_loss(dict(type='ImageDiceLoss', use_sigmoid=use_sigmoid))
    value = loss(one, ms.ops.minimum(labels, ms.Tensor(1, ms.int32)))
    assert float(value) == pytest.approx(expected, abs=2e-6)
