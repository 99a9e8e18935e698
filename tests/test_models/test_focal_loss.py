"""Focal loss against float64 numpy, in value and by finite differences in gradient."""

import numpy as np
import pytest

from msseg.models import build_loss
from tests.test_models.loss_checks import (
    IGNORE,
    WEIGHTS,
    C,
    assert_matches,
    evaluate,
    make_data,
    sigmoid,
    value_and_gradient,
)

ALPHAS = [0.1, 0.4, 0.5, 0.9]


def focal(logits, labels, gamma=2, alpha=0.5, weights=None, ignore=IGNORE, pixel_weight=None):
    """Pixel by pixel and channel by channel; ignored ones are 0."""
    result = np.zeros_like(logits)
    for n, c, y, x in np.ndindex(logits.shape):
        label = labels[n, y, x]
        if label == ignore:
            continue
        positive = label == (1 if logits.shape[1] == 1 else c)
        p = sigmoid(logits[n, c, y, x] if positive else -logits[n, c, y, x])
        a = alpha[c] if isinstance(alpha, list) else alpha
        loss = -(a if positive else 1 - a) * (1 - p) ** gamma * np.log(p)
        loss *= 1 if weights is None else weights[c]
        loss *= 1 if pixel_weight is None else pixel_weight[n, y, x]
        result[n, c, y, x] = loss
    return result


def build(**options):
    return build_loss(dict(type='FocalLoss', **options))


@pytest.mark.parametrize(
    ('options', 'channels'),
    [
        ({}, C),
        (dict(gamma=0.0), C),
        (dict(gamma=1.0), C),
        (dict(gamma=3.5), C),
        (dict(alpha=0.25), C),
        (dict(alpha=ALPHAS), C),
        (dict(alpha=0.25), 1),
    ],
)
def test_value_and_gradient(options, channels):
    logits, labels = make_data(channels)
    assert_matches(build(**options), lambda z: focal(z, labels, **options).mean(), logits, labels)


def test_graph_mode_class_weights_and_sum(graph_mode):
    logits, labels = make_data()
    assert_matches(
        build(alpha=ALPHAS, class_weight=WEIGHTS, reduction='sum', loss_weight=0.3),
        lambda z: 0.3 * focal(z, labels, alpha=ALPHAS, weights=WEIGHTS).sum(),
        logits,
        labels,
    )


def test_pixel_weights_and_another_ignore_index():
    logits, labels = make_data()
    labels[labels == IGNORE] = 3
    weight = np.random.default_rng(1).random(labels.shape)
    assert_matches(
        build(),
        lambda z: focal(z, labels, ignore=3, pixel_weight=weight).mean(),
        logits,
        labels,
        weight,
        ignore_index=3,
    )


def test_no_reduction_gives_every_pixel_and_channel():
    logits, labels = make_data()
    values = evaluate(build(reduction='none'), logits, labels)
    np.testing.assert_allclose(values, focal(logits, labels), rtol=1e-4, atol=1e-7)


def test_no_ignore_index_counts_every_pixel():
    logits, labels = make_data()
    expected = focal(logits, labels, ignore=None).mean()  # 255 is negative in every channel
    assert evaluate(build(), logits, labels, ignore_index=None) == pytest.approx(expected, rel=1e-5)


def test_avg_factor_is_what_the_mean_divides_by():
    logits, labels = make_data()
    value = evaluate(build(), logits, labels, avg_factor=7.0)
    assert value == pytest.approx(focal(logits, labels).sum() / 7, rel=1e-5)
    with pytest.raises(ValueError, match="avg_factor is for reduction='mean'"):
        evaluate(build(reduction='sum'), logits, labels, avg_factor=7.0)


def test_batch_without_a_valid_pixel_costs_nothing():
    logits, labels = make_data()
    labels[:] = IGNORE
    value, gradient = value_and_gradient(build(), logits, labels)
    assert value == 0
    assert not gradient.any()


def test_extreme_logits_stay_finite():
    logits = np.zeros((1, 2, 1, 2))
    logits[0, :, 0] = [[1e4, -1e4], [0, 0]]
    value, gradient = value_and_gradient(
        build(gamma=1.5, reduction='sum'), logits, np.zeros((1, 1, 2))
    )
    # Wrong by 1e4 once, and two channels at one half.
    assert value == pytest.approx(0.5 * (1e4 + 2 * 0.5**1.5 * np.log(2)), rel=1e-5)
    assert np.isfinite(gradient).all()
    assert gradient[0, 1].all()


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (dict(use_sigmoid=False), ValueError, 'use_sigmoid is False, expected True'),
        (dict(gamma=-1.0), ValueError, 'gamma is -1.0, expected a number of at least 0'),
        (dict(gamma='2'), ValueError, "gamma is '2', expected a number"),
        (dict(alpha=2.0), ValueError, 'alpha is 2.0, expected a number from 0 to 1'),
        (dict(alpha=[0.5, '1']), ValueError, 'expected a number from 0 to 1, or a list, each'),
        (dict(alpha=[]), ValueError, r'alpha is \[\]'),
        (dict(reduction='men'), ValueError, "reduction is 'men'.*Did you mean 'mean'"),
        (dict(class_weight='no.npy'), FileNotFoundError, "'no.npy', which does not exist"),
    ],
)
def test_bad_options_say_what_to_do(options, error, message):
    with pytest.raises(error, match=message):
        build(**options)


def test_alphas_must_be_as_many_as_classes():
    logits, labels = make_data()
    with pytest.raises(ValueError, match='alpha has 3 numbers, expected one for each of 4 classes'):
        evaluate(build(alpha=[0.1, 0.2, 0.3]), logits, labels)
