"""Tversky loss against float64 numpy, in value and by finite differences in gradient."""

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
    softmax,
    value_and_gradient,
)


def tversky(logits, labels, smooth=1, alpha=0.3, beta=0.7, weights=None, ignore=IGNORE):
    """Image by image and class by class."""
    probabilities = softmax(logits)
    total = 0.0
    for n in range(len(logits)):
        valid = labels[n] != ignore
        for c in range(C):
            if c == ignore:
                continue
            p, of_class = probabilities[n, c][valid], labels[n][valid] == c
            hits = p[of_class].sum()
            wrong = alpha * p[~of_class].sum() + beta * (1 - p[of_class]).sum()
            loss = 1 - (hits + smooth) / (hits + wrong + smooth)
            total += loss * (1 if weights is None else weights[c])
    return total / (len(logits) * C)


def build(**options):
    return build_loss(dict(type='TverskyLoss', **options))


@pytest.mark.parametrize(
    ('options', 'arguments', 'factor'),
    [
        ({}, {}, 1),
        (dict(smooth=0.2), dict(smooth=0.2), 1),
        (dict(alpha=0.9, beta=0.1), dict(alpha=0.9, beta=0.1), 1),
        (dict(class_weight=WEIGHTS, loss_weight=0.3), dict(weights=WEIGHTS), 0.3),
        (dict(ignore_index=1), dict(ignore=1), 1),
    ],
)
def test_value_and_gradient(options, arguments, factor):
    logits, labels = make_data()
    if 'ignore_index' in options:
        labels[labels == IGNORE] = 1
    assert_matches(
        build(**options), lambda z: factor * tversky(z, labels, **arguments), logits, labels
    )


def test_graph_mode_gives_the_same(graph_mode):
    logits, labels = make_data()
    assert_matches(
        build(class_weight=WEIGHTS), lambda z: tversky(z, labels, weights=WEIGHTS), logits, labels
    )


def test_equal_weights_of_half_give_dice_with_exponent_one():
    logits, labels = make_data()
    labels[labels == IGNORE] = 0
    dice = build_loss(dict(type='DiceLoss', exponent=1, smooth=2))
    value = evaluate(build(alpha=0.5, beta=0.5), logits, labels)
    assert value == pytest.approx(evaluate(dice, logits, labels), rel=1e-5)


def test_the_heads_ignore_index_and_a_samplers_weights_have_no_influence():
    logits, labels = make_data()
    expected = evaluate(build(), logits, labels)
    assert evaluate(build(), logits, labels, np.zeros(labels.shape), ignore_index=0) == expected


def test_batch_without_a_valid_pixel_costs_nothing():
    logits, labels = make_data()
    labels[:] = IGNORE
    value, gradient = value_and_gradient(build(), logits, labels)
    assert value == 0
    assert not gradient.any()


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (dict(alpha=0.5), ValueError, 'alpha is 0.5 and beta 0.7, expected a sum of 1'),
        (dict(class_weight=[[1]]), ValueError, 'expected a list, each a number of at least 0'),
        (dict(reduction='mean'), TypeError, "no argument 'reduction'"),
    ],
)
def test_bad_options_say_what_to_do(options, error, message):
    with pytest.raises(error, match=message):
        build(**options)


def test_one_channel_is_refused():
    logits, labels = make_data(1)
    with pytest.raises(ValueError, match='TverskyLoss: the logits have 1 channel'):
        evaluate(build(), logits, labels)
