"""Dice loss against float64 numpy, in value and by finite differences in gradient."""

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


def dice(logits, labels, smooth=1, exponent=2, weights=None, ignore=IGNORE):
    """Image by image and class by class."""
    probabilities = softmax(logits)
    total = 0.0
    for n in range(len(logits)):
        for c in range(C):
            if c == ignore:
                continue
            of_class = np.clip(labels[n], 0, C - 1) == c  # the ignored count as the last class
            p = probabilities[n, c]
            common = p[of_class & (labels[n] != ignore)].sum()
            size = (p**exponent).sum() + of_class.sum()
            loss = 1 - (2 * common + smooth) / (size + smooth)
            total += loss * (1 if weights is None else weights[c])
    return total / (len(logits) * C)


def build(**options):
    return build_loss(dict(type='DiceLoss', **options))


@pytest.mark.parametrize(
    ('options', 'arguments', 'factor'),
    [
        ({}, {}, 1),
        (dict(smooth=0.1), dict(smooth=0.1), 1),
        (dict(exponent=1), dict(exponent=1), 1),
        (dict(exponent=2.5), dict(exponent=2.5), 1),
        (dict(class_weight=WEIGHTS), dict(weights=WEIGHTS), 1),
        (dict(ignore_index=2), dict(ignore=2), 1),
        (dict(ignore_index=None), dict(ignore=None), 1),
        (dict(reduction='sum', loss_weight=0.3), {}, 0.3),
        (dict(reduction='none'), {}, 1),
    ],
)
def test_value_and_gradient(options, arguments, factor):
    logits, labels = make_data()
    if options.get('ignore_index', 255) is None:
        labels[labels == IGNORE] = 0
    assert_matches(
        build(**options), lambda z: factor * dice(z, labels, **arguments), logits, labels
    )


def test_graph_mode_gives_the_same(graph_mode):
    logits, labels = make_data()
    assert_matches(
        build(class_weight=WEIGHTS, exponent=1.5),
        lambda z: dice(z, labels, exponent=1.5, weights=WEIGHTS),
        logits,
        labels,
    )


def test_the_heads_ignore_index_and_a_samplers_weights_have_no_influence():
    logits, labels = make_data()
    expected = evaluate(build(), logits, labels)
    assert evaluate(build(), logits, labels, np.zeros(labels.shape), ignore_index=0) == expected


def test_avg_factor_divides_the_mean_only():
    logits, labels = make_data()
    value = evaluate(build(), logits, labels)
    assert evaluate(build(), logits, labels, avg_factor=4) == pytest.approx(value / 4)
    assert evaluate(build(reduction='none'), logits, labels, avg_factor=4) == value
    with pytest.raises(ValueError, match="avg_factor is for reduction='mean'"):
        evaluate(build(reduction='sum'), logits, labels, avg_factor=4)


def test_batch_without_a_valid_pixel_is_finite():
    logits, labels = make_data()
    labels[:] = IGNORE
    value, gradient = value_and_gradient(build(), logits, labels)
    assert value == pytest.approx(dice(logits, labels), rel=1e-5)
    assert np.isfinite(gradient).all()


def test_perfect_and_wrong_predictions():
    labels = np.tile(np.arange(C), (1, 2, 5))
    right = 50.0 * (labels[:, None] == np.arange(C).reshape(1, C, 1, 1))
    assert evaluate(build(), right, labels) == pytest.approx(0, abs=1e-6)
    wrong = np.roll(right, 1, axis=1)
    assert evaluate(build(), wrong, labels) == pytest.approx(1 - 1 / (2 * 10 + 1), rel=1e-6)


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (dict(exponent=0), ValueError, 'exponent is 0, expected a number above 0'),
        (dict(reduction='men'), ValueError, "reduction is 'men'.*Did you mean 'mean'"),
        (dict(class_weight='no.npy'), FileNotFoundError, "'no.npy', which does not exist"),
        (dict(smoth=1), TypeError, "no argument 'smoth'.*'smooth'"),
    ],
)
def test_bad_options_say_what_to_do(options, error, message):
    with pytest.raises(error, match=message):
        build(**options)


def test_one_channel_is_refused():
    logits, labels = make_data(1)
    with pytest.raises(ValueError, match='DiceLoss: the logits have 1 channel'):
        evaluate(build(), logits, labels)
