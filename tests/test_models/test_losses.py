"""Losses against float64 numpy, in value and by finite differences in gradient."""

import json

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.models import build_loss

N, C, H, W = 2, 4, 3, 5
IGNORE = 255


def make_data(channels=C, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(N, channels, H, W)) * 3
    labels = rng.integers(0, max(channels, 2), (N, H, W))
    labels[rng.random(labels.shape) < 0.2] = IGNORE
    return logits, labels


def softmax_loss(logits, labels, weights=None, mean='all', pixel_weight=1.0):
    """Written pixel by pixel."""
    total, valid, weight_sum = 0.0, 0, 0.0
    pixel_weight = np.broadcast_to(pixel_weight, labels.shape)
    for n, y, x in np.ndindex(labels.shape):
        label = labels[n, y, x]
        if label == IGNORE:
            continue
        z = logits[n, :, y, x]
        factor = 1.0 if weights is None else weights[label]
        top = z.max()
        loss = top + np.log(np.exp(z - top).sum()) - z[label]
        total += loss * factor * pixel_weight[n, y, x]
        valid += 1
        weight_sum += factor
    return total / {'all': labels.size, 'valid': valid, 'weights': weight_sum, 'sum': 1}[mean]


def sigmoid_loss(logits, labels, weights=None, mean='all'):
    total, valid = 0.0, 0
    for n, c, y, x in np.ndindex(logits.shape):
        label = labels[n, y, x]
        if label == IGNORE:
            continue
        target = label if logits.shape[1] == 1 else float(label == c)
        probability = 1 / (1 + np.exp(-logits[n, c, y, x]))
        positive = 1.0 if weights is None else weights[c]
        total -= positive * target * np.log(probability) + (1 - target) * np.log(1 - probability)
        valid += 1
    return total / {'all': logits.size, 'valid': valid, 'sum': 1}[mean]


def evaluate(loss, logits, labels, weight=None):
    pixel_weight = None if weight is None else ms.Tensor(weight, ms.float32)
    return loss(ms.Tensor(logits, ms.float32), ms.Tensor(labels, ms.int32), pixel_weight, IGNORE)


def gradient(loss, logits, labels):
    return ms.grad(lambda z: evaluate_tensor(loss, z, labels))(
        ms.Tensor(logits, ms.float32)
    ).asnumpy()


def evaluate_tensor(loss, logits, labels):
    return loss(logits, ms.Tensor(labels, ms.int32), None, IGNORE)


def numeric_gradient(function, logits, step=1e-4):
    result = np.zeros_like(logits)
    for place in np.ndindex(logits.shape):
        high, low = logits.copy(), logits.copy()
        high[place] += step
        low[place] -= step
        result[place] = (function(high) - function(low)) / (2 * step)
    return result


WEIGHTS = [0.5, 1.0, 2.0, 3.5]
CASES = [
    ({}, C, lambda z, y: softmax_loss(z, y)),
    (dict(avg_non_ignore=True), C, lambda z, y: softmax_loss(z, y, mean='valid')),
    (dict(class_weight=WEIGHTS), C, lambda z, y: softmax_loss(z, y, WEIGHTS)),
    (
        dict(class_weight=WEIGHTS, avg_non_ignore=True, loss_weight=0.4),
        C,
        lambda z, y: 0.4 * softmax_loss(z, y, WEIGHTS, 'valid'),
    ),
    (
        dict(class_weight=WEIGHTS, avg_by_class_weight=True),
        C,
        lambda z, y: softmax_loss(z, y, WEIGHTS, 'weights'),
    ),
    (dict(reduction='sum'), C, lambda z, y: softmax_loss(z, y, mean='sum')),
    (dict(use_sigmoid=True), C, lambda z, y: sigmoid_loss(z, y)),
    (
        dict(use_sigmoid=True, avg_non_ignore=True, class_weight=WEIGHTS),
        C,
        lambda z, y: sigmoid_loss(z, y, WEIGHTS, 'valid'),
    ),
    (
        dict(use_sigmoid=True, avg_non_ignore=True),
        1,
        lambda z, y: sigmoid_loss(z, y, None, 'valid'),
    ),
]


@pytest.mark.parametrize(('options', 'channels', 'expected'), CASES)
def test_value_and_gradient(options, channels, expected):
    logits, labels = make_data(channels)
    loss = build_loss(dict(type='CrossEntropyLoss', **options))
    assert float(evaluate(loss, logits, labels)) == pytest.approx(
        expected(logits, labels), rel=1e-5
    )
    numeric = numeric_gradient(lambda z: expected(z, labels), logits)
    np.testing.assert_allclose(gradient(loss, logits, labels), numeric, atol=1e-5)


@pytest.mark.parametrize('use_sigmoid', [False, True])
@pytest.mark.parametrize('avg_non_ignore', [False, True])
def test_batch_without_a_valid_pixel_costs_nothing(use_sigmoid, avg_non_ignore):
    logits, labels = make_data()
    labels[:] = IGNORE
    loss = build_loss(
        dict(type='CrossEntropyLoss', use_sigmoid=use_sigmoid, avg_non_ignore=avg_non_ignore)
    )
    assert float(evaluate(loss, logits, labels)) == 0
    assert not gradient(loss, logits, labels).any()


@pytest.mark.parametrize('use_sigmoid', [False, True])
def test_extreme_logits_stay_finite(use_sigmoid):
    logits = np.zeros((1, 2, 1, 2))
    logits[0, 0] = [1e4, -1e4]
    labels = np.array([[[0, 0]]])
    loss = build_loss(dict(type='CrossEntropyLoss', use_sigmoid=use_sigmoid, reduction='sum'))
    value = float(evaluate(loss, logits, labels))
    # The second pixel is wrong by 1e4; with sigmoids the other channel costs log 2 a pixel.
    assert value == pytest.approx(1e4 + (2 * np.log(2) if use_sigmoid else 0), rel=1e-5)
    assert np.isfinite(gradient(loss, logits, labels)).all()


def test_logits_of_zero_have_their_gradient():
    logits, labels = np.zeros((1, 2, 1, 1)), np.zeros((1, 1, 1))
    loss = build_loss(dict(type='CrossEntropyLoss', use_sigmoid=True, reduction='sum'))
    np.testing.assert_allclose(gradient(loss, logits, labels).ravel(), [-0.5, 0.5])


def test_pixel_weights_multiply():
    logits, labels = make_data()
    weight = np.random.default_rng(1).random(labels.shape)
    loss = build_loss(dict(type='CrossEntropyLoss'))
    expected = softmax_loss(logits, labels, pixel_weight=weight)
    assert float(evaluate(loss, logits, labels, weight)) == pytest.approx(expected, rel=1e-5)


def test_no_reduction_gives_every_pixel():
    logits, labels = make_data()
    loss = build_loss(dict(type='CrossEntropyLoss', reduction='none'))
    values = evaluate(loss, logits, labels).asnumpy()
    assert values.shape == labels.shape
    assert not values[labels == IGNORE].any()
    assert values.sum() == pytest.approx(softmax_loss(logits, labels, mean='sum'), rel=1e-5)


def test_mean_over_millions_of_pixels_is_precise():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(1, 2, 1024, 1024)).astype(np.float32)
    labels = rng.integers(0, 2, (1, 1024, 1024)).astype(np.int32)
    loss = build_loss(dict(type='CrossEntropyLoss'))
    z = logits.astype(np.float64)
    label_logit = np.take_along_axis(z, labels[:, None], 1)[:, 0]
    expected = (np.log(np.exp(z).sum(axis=1)) - label_logit).mean()
    assert float(evaluate(loss, logits, labels)) == pytest.approx(expected, rel=1e-6)


def test_graph_mode_gives_the_same_gradient(graph_mode):
    logits, labels = make_data()
    loss = build_loss(dict(type='CrossEntropyLoss', class_weight=WEIGHTS, avg_non_ignore=True))

    class Gradient(nn.Cell):
        def __init__(self):
            super().__init__()
            self.loss = loss
            self.grad = ms.grad(loss)

        def construct(self, z, y):
            return self.grad(z, y)

    numeric = numeric_gradient(lambda z: softmax_loss(z, labels, WEIGHTS, 'valid'), logits)
    got = Gradient()(ms.Tensor(logits, ms.float32), ms.Tensor(labels, ms.int32))
    np.testing.assert_allclose(got.asnumpy(), numeric, atol=1e-5)


def test_class_weights_are_read_from_files(tmp_path):
    np.save(tmp_path / 'w.npy', np.array(WEIGHTS))
    (tmp_path / 'w.json').write_text(json.dumps(WEIGHTS))
    (tmp_path / 'w.yaml').write_text('[0.5, 1.0, 2.0, 3.5]')
    for name in ('w.npy', 'w.json', 'w.yaml'):
        loss = build_loss(dict(type='CrossEntropyLoss', class_weight=str(tmp_path / name)))
        assert loss.class_weight == WEIGHTS


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (dict(use_mask=True), ValueError, 'use_mask is True, expected False'),
        (dict(reduction='men'), ValueError, "reduction is 'men'.*Did you mean 'mean'"),
        (dict(use_sigmoid=True, avg_by_class_weight=True), ValueError, 'is for softmax'),
        (dict(class_weight='none.npy'), FileNotFoundError, "'none.npy', which does not exist"),
        (dict(class_weight='abc'), FileNotFoundError, 'does not exist'),
        (dict(class_weight=[[1, 2]]), ValueError, 'expected a list, each a number of at least 0'),
        (dict(class_weight=[1, -1, 1, 1]), ValueError, 'each a number of at least 0'),
        (dict(class_weight=[float('nan')] * 4), ValueError, r'class_weight is \[nan, '),
        (dict(loss_weight=-1), ValueError, 'loss_weight is -1, expected a number of at least 0'),
        (dict(class_weights=[1]), TypeError, "no argument 'class_weights'.*'class_weight'"),
    ],
)
def test_bad_options_say_what_to_do(options, error, message):
    with pytest.raises(error, match=message):
        build_loss(dict(type='CrossEntropyLoss', **options))


def test_pickled_class_weights_are_refused(tmp_path):
    (tmp_path / 'w.pkl').write_bytes(b'')
    with pytest.raises(ValueError, match='pickles are not read'):
        build_loss(dict(type='CrossEntropyLoss', class_weight=str(tmp_path / 'w.pkl')))
