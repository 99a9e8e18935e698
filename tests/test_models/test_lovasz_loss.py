"""Lovász loss against float64 numpy, in value and by finite differences in gradient."""

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


def extension(errors, of_class):
    """The Lovász extension of D(wrong) = |wrong| / |class or wrong|, from its definition."""

    def jaccard_loss(wrong):
        return len(wrong) / len(wrong | members) if wrong else 0.0

    members = set(np.flatnonzero(of_class))
    total, wrong = 0.0, set()
    for i in np.argsort(-errors):
        before = jaccard_loss(wrong)
        wrong.add(i)
        total += errors[i] * (jaccard_loss(wrong) - before)
    return total


def lovasz_softmax(logits, labels, classes='present', weights=None, ignore=IGNORE):
    """The loss of some images taken as one."""
    valid = labels != ignore
    labels = labels[valid]
    probabilities = softmax(logits).transpose(0, 2, 3, 1)[valid]
    losses = []
    for c in range(logits.shape[1]) if isinstance(classes, str) else classes:
        of_class = labels == c
        if classes == 'present' and not of_class.any():
            continue
        loss = extension(abs(of_class - probabilities[:, c]), of_class)
        losses.append(loss * (1 if weights is None else weights[c]))
    return np.mean(losses) if losses else 0.0


def lovasz_hinge(logits, labels):
    valid = labels != IGNORE
    of_class = labels[valid] == 1
    margins = np.where(of_class, 1, -1) * logits[:, 0][valid]
    return extension(np.maximum(1 - margins, 0), of_class)


def each(function, logits, labels, **options):
    return np.array(
        [function(z[None], y[None], **options) for z, y in zip(logits, labels, strict=True)]
    )


def build(**options):
    return build_loss(dict(type='LovaszLoss', **options))


@pytest.mark.parametrize(
    ('options', 'arguments'),
    [
        ({}, {}),
        (dict(class_weight=WEIGHTS), dict(weights=WEIGHTS)),
        (dict(classes='all'), dict(classes='all')),
        (dict(classes=[3, 1]), dict(classes=[3, 1])),
        (
            dict(classes=[2, 1], class_weight=WEIGHTS),
            dict(classes=[2, 1], weights=WEIGHTS),
        ),
    ],
)
def test_batch_as_one(options, arguments):
    logits, labels = make_data(absent=2)
    assert_matches(
        build(reduction='none', **options),
        lambda z: lovasz_softmax(z, labels, **arguments),
        logits,
        labels,
    )


@pytest.mark.parametrize(('reduction', 'join'), [('mean', np.mean), ('sum', np.sum)])
@pytest.mark.parametrize('classes', ['present', [2, 0]])
def test_each_image_alone(reduction, join, classes):
    logits, labels = make_data()
    labels[0][labels[0] == 2] = 1
    assert_matches(
        build(per_image=True, reduction=reduction, classes=classes, loss_weight=0.3),
        lambda z: 0.3 * join(each(lovasz_softmax, z, labels, classes=classes)),
        logits,
        labels,
    )


def test_no_reduction_gives_every_image():
    logits, labels = make_data()
    values = evaluate(build(per_image=True, reduction='none'), logits, labels)
    np.testing.assert_allclose(values, each(lovasz_softmax, logits, labels), rtol=1e-5)


@pytest.mark.parametrize('per_image', [False, True])
def test_hinge(per_image):
    logits, labels = make_data(1)

    def reference(z):
        return each(lovasz_hinge, z, labels).mean() if per_image else lovasz_hinge(z, labels)

    reduction = 'mean' if per_image else 'none'
    loss = build(loss_type='binary', per_image=per_image, reduction=reduction)
    assert_matches(loss, reference, logits, labels)


def test_graph_mode_gives_the_same(graph_mode):
    logits, labels = make_data(absent=2)
    assert_matches(build(reduction='none'), lambda z: lovasz_softmax(z, labels), logits, labels)


def test_another_ignore_index_and_a_samplers_weights():
    logits, labels = make_data()
    labels[labels == IGNORE] = 3
    assert_matches(
        build(reduction='none'),
        lambda z: lovasz_softmax(z, labels, ignore=3),
        logits,
        labels,
        np.zeros(labels.shape),
        ignore_index=3,
    )
    expected = lovasz_softmax(logits, labels, ignore=None)
    value = evaluate(build(reduction='none'), logits, labels, ignore_index=None)
    assert value == pytest.approx(expected, rel=1e-5)


def test_many_pixels_keep_their_precision():
    """Neighbouring IoUs differ in the sixth digit here, so their differences must not be taken."""
    logits, labels = make_data(size=(256, 512))
    loss = build(reduction='none')
    value, gradient = value_and_gradient(loss, logits, labels)
    valid = labels != IGNORE
    p = softmax(logits.astype(np.float32).astype(np.float64)).transpose(0, 2, 3, 1)[valid]
    losses, weights = [], np.zeros_like(p)
    for c in range(C):
        of_class = labels[valid] == c
        errors = abs(of_class - p[:, c])
        order = np.argsort(-errors)
        hits = of_class.sum() - of_class[order].cumsum()
        iou = hits / (of_class.sum() + (~of_class[order]).cumsum())
        weights[order, c] = np.diff(1 - iou, prepend=0)
        losses.append((errors * weights[:, c]).sum())
        weights[:, c] *= np.where(of_class, -1, 1) / C
    assert value == pytest.approx(np.mean(losses), rel=1e-6)
    expected = np.zeros((*labels.shape, C))
    expected[valid] = p * (weights - (p * weights).sum(axis=1, keepdims=True))
    error = gradient.transpose(0, 2, 3, 1) - expected
    assert np.linalg.norm(error) < 1e-4 * np.linalg.norm(expected)


@pytest.mark.parametrize(
    ('options', 'channels'),
    [
        (dict(reduction='none'), C),
        (dict(reduction='none', classes='all'), C),
        (dict(per_image=True), C),
        (dict(reduction='none', loss_type='binary'), 1),
    ],
)
def test_batch_without_a_valid_pixel_costs_nothing(options, channels):
    logits, labels = make_data(channels)
    labels[:] = IGNORE
    value, gradient = value_and_gradient(build(**options), logits, labels)
    assert value == 0
    assert not gradient.any()


def test_one_image_without_a_valid_pixel_costs_nothing_but_is_counted():
    logits, labels = make_data()
    labels[1] = IGNORE
    expected = lovasz_softmax(logits[:1], labels[:1]) / 2
    assert evaluate(build(per_image=True), logits, labels) == pytest.approx(expected, rel=1e-5)


def test_avg_factor_is_what_the_mean_over_images_divides_by():
    logits, labels = make_data()
    loss = build(per_image=True)
    value = evaluate(loss, logits, labels, avg_factor=4.0)
    assert value == pytest.approx(evaluate(loss, logits, labels) / 2, rel=1e-5)
    with pytest.raises(ValueError, match="avg_factor is for reduction='mean'"):
        evaluate(build(per_image=True, reduction='sum'), logits, labels, avg_factor=4.0)


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        ({}, ValueError, "reduction is 'mean', but the whole batch has one loss"),
        (dict(reduction='non'), ValueError, "reduction is 'non'.*Did you mean 'none'"),
        (dict(loss_type='multiclass'), ValueError, "Did you mean 'multi_class'"),
        (dict(classes='presnt', per_image=True), ValueError, "Did you mean 'present'"),
        (dict(classes=[], per_image=True), ValueError, r'classes is \[\]'),
        (
            dict(classes=[1.5], per_image=True),
            ValueError,
            'or a list, each a whole number of at least 0',
        ),
        (
            dict(classes=[-1], per_image=True),
            ValueError,
            'or a list, each a whole number of at least 0',
        ),
        (dict(class_weight='no.npy', per_image=True), FileNotFoundError, 'does not exist'),
    ],
)
def test_bad_options_say_what_to_do(options, error, message):
    with pytest.raises(error, match=message):
        build(**options)


@pytest.mark.parametrize(
    ('options', 'channels', 'message'),
    [
        (dict(classes=[4]), C, r'classes are \[4\], but the logits have 4 channels'),
        ({}, 1, "the logits have 1 channel.*give loss_type='binary'"),
        (dict(loss_type='binary'), C, "the logits have 4 channels, expected 1 for .*'binary'"),
    ],
)
def test_channels_that_do_not_fit_are_refused(options, channels, message):
    logits, labels = make_data(channels)
    with pytest.raises(ValueError, match=message):
        evaluate(build(reduction='none', **options), logits, labels)
