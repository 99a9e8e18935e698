"""RMI loss against float64 numpy, in value and by finite differences in gradient."""

import numpy as np
import pytest

from msseg.models import build_loss
from tests.test_models.loss_checks import (
    IGNORE,
    assert_matches,
    evaluate,
    make_data,
    sigmoid,
    value_and_gradient,
)

C = 3


def cross_entropy(logits, labels):
    valid = (labels >= 0) & (labels < C)
    total = 0.0
    for c in range(C):
        z = logits[:, c][valid]
        total += np.logaddexp(0, np.where(labels[valid] == c, -z, z)).sum()
    return total / (valid.sum() + 1)


def shrink(channel, size, way, is_label):
    """One channel, window by window."""
    h, w = channel.shape
    if size == 1:
        return channel
    if way == 2:
        rows, columns = h // size, w // size
        result = np.zeros((rows, columns))
        for i, j in np.ndindex(rows, columns):
            if is_label:
                result[i, j] = channel[int(i * h / rows), int(j * w / columns)]
                continue
            y, x = i * (h - 1) / (rows - 1), j * (w - 1) / (columns - 1)
            for a in {int(y), min(int(y) + 1, h - 1)}:
                for b in {int(x), min(int(x) + 1, w - 1)}:
                    share = max(0, 1 - abs(y - a)) * max(0, 1 - abs(x - b))
                    result[i, j] += channel[a, b] * share
        return result
    padded = np.pad(channel, size // 2)
    rows, columns = padded.shape[0] // size, padded.shape[1] // size
    windows = padded[: rows * size, : columns * size].reshape(rows, size, columns, size)
    return windows.max(axis=(1, 3)) if way == 0 else windows.mean(axis=(1, 3))


def regions(channel, radius):
    """(radius^2, regions), less the mean."""
    view = np.lib.stride_tricks.sliding_window_view(channel, (radius, radius))
    points = view.reshape(-1, radius * radius).T
    return points - points.mean(axis=1, keepdims=True)


def information(logits, labels, radius, way, size, jitter=5e-4):
    total = 0.0
    for n, c in np.ndindex(len(logits), C):
        valid = (labels[n] >= 0) & (labels[n] < C)
        guess = regions(shrink(sigmoid(logits[n, c]) * valid + 1e-6, size, way, False), radius)
        truth = regions(shrink((labels[n] == c) * 1.0, size, way, True), radius)
        eye = jitter * np.eye(radius * radius)
        mixed = truth @ guess.T
        left = truth @ truth.T - mixed @ np.linalg.inv(guess @ guess.T + eye) @ mixed.T
        factor = np.linalg.cholesky(left + eye)
        total += np.log(np.diag(factor)).sum() / radius**2
    return total / len(logits)


def build(**options):
    return build_loss(dict(type='RMILoss', **options))


def pooled(size, **options):
    return dict(rmi_pool_size=size, rmi_pool_stride=size, **options)


@pytest.mark.parametrize(
    ('options', 'radius', 'way', 'size'),
    [
        (pooled(1), 3, 1, 1),
        (pooled(2, rmi_pool_way=0, rmi_radius=2), 2, 0, 2),
        (pooled(2), 3, 1, 2),
        (pooled(3, rmi_radius=2), 2, 1, 3),
        (pooled(2, rmi_pool_way=2, rmi_radius=2), 2, 2, 2),
        (pooled(2, rmi_radius=1), 1, 1, 2),
    ],
)
def test_value_and_gradient(options, radius, way, size):
    logits, labels = make_data(C, size=(7, 9))

    def reference(z):
        shared = information(z, labels, radius, way, size)
        return 0.5 * cross_entropy(z, labels) + 0.5 * shared

    assert_matches(build(**options), reference, logits, labels, places=40)


def test_graph_mode_and_shares(graph_mode):
    logits, labels = make_data(C, size=(7, 9))

    def reference(z):
        shared = information(z, labels, 3, 1, 2, jitter=1e-3)
        return 2 * (0.3 * cross_entropy(z, labels) + 0.7 * shared)

    loss = build(**pooled(2), loss_weight_lambda=0.3, loss_weight=2.0, jitter=1e-3)
    assert_matches(loss, reference, logits, labels, places=40)


def test_defaults_and_the_other_lambda_way():
    logits, labels = make_data(C, size=(16, 20))
    entropy, shared = cross_entropy(logits, labels), information(logits, labels, 3, 1, 4)
    assert evaluate(build(), logits, labels) == pytest.approx((entropy + shared) / 2, rel=1e-5)
    value = evaluate(build(lambda_way=0, loss_weight_lambda=0.2), logits, labels)
    assert value == pytest.approx(entropy + 0.2 * shared, rel=1e-5)


def test_without_information_the_cross_entropy_remains():
    logits, labels = make_data(C)
    assert_matches(build(do_rmi=False), lambda z: cross_entropy(z, labels), logits, labels)


def test_a_class_that_is_ignored_and_a_samplers_weights():
    logits, labels = make_data(C)
    labels[labels == 1] = IGNORE
    expected = evaluate(build(do_rmi=False), logits, labels)
    labels[labels == IGNORE] = 1
    value = evaluate(build(do_rmi=False), logits, labels, np.zeros(labels.shape), ignore_index=1)
    assert value == pytest.approx(expected, rel=1e-6)
    assert evaluate(build(do_rmi=False), logits, labels, ignore_index=None) > 0


def test_batch_without_a_valid_pixel_costs_a_constant():
    logits, labels = make_data(C, size=(16, 20))
    labels[:] = IGNORE
    value, gradient = value_and_gradient(build(), logits, labels)
    assert value == pytest.approx(0.5 * C * 0.5 * np.log(5e-4), rel=1e-4)
    assert not gradient.any()


def test_perfect_predictions_of_large_maps_stay_finite():
    """Here the covariances' condition is beyond float32."""
    labels = np.zeros((1, 128, 128), int)
    labels[:, 40:80, 30:90] = 1
    logits = 40.0 * ((labels[:, None] == np.arange(2).reshape(1, 2, 1, 1)) - 0.5)
    value, gradient = value_and_gradient(build(), logits, labels)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(rmi_radius=0), 'rmi_radius is 0, expected a whole number from 1 to 10'),
        (dict(rmi_pool_way=3), 'rmi_pool_way is 3, expected one of .0, 1, 2.'),
        (dict(rmi_pool_size=3), 'rmi_pool_size is 3 and rmi_pool_stride 4, expected the same'),
        (pooled(0), 'rmi_pool_size is 0, expected a whole number'),
        (dict(lambda_way=2), 'lambda_way is 2, expected one of .0, 1.'),
        (dict(jitter=0), 'jitter is 0, expected a number above 0'),
    ],
)
def test_bad_options_say_what_to_do(options, message):
    with pytest.raises(ValueError, match=f'RMILoss: {message}'):
        build(**options)


def test_maps_smaller_than_a_region_are_refused():
    logits, labels = make_data(C)
    with pytest.raises(ValueError, match='maps are 1 x 2 after shrinking .* at least 3 x 3'):
        evaluate(build(), logits, labels)
