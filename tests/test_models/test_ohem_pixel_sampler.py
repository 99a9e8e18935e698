"""Hard pixels are those that sorting finds."""

import mindspore as ms
import numpy as np
import pytest

from msseg.models import build_loss, build_pixel_sampler

IGNORE = 255


def make_data(seed=0, ignored=0.3):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(2, 3, 6, 7)).astype(np.float32) * 2
    labels = rng.integers(0, 3, (2, 6, 7)).astype(np.int32)
    labels[rng.random(labels.shape) < ignored] = IGNORE
    z = np.exp(logits.astype(np.float64))
    probability = z / z.sum(axis=1, keepdims=True)
    index = np.where(labels == IGNORE, 0, labels)[:, None]
    return logits, labels, np.take_along_axis(probability, index, 1)[:, 0]


def sample(sampler, logits, labels):
    loss = build_loss(dict(type='CrossEntropyLoss', class_weight=[1.0, 5.0, 0.2]))
    logits, labels = ms.Tensor(logits), ms.Tensor(labels)
    losses = loss.pixel_losses(logits, labels, IGNORE)
    return sampler(logits, labels, losses).asnumpy(), losses.asnumpy()


@pytest.mark.parametrize('thresh', [0.05, 0.5, 0.9])
@pytest.mark.parametrize('min_kept', [2, 10, 1000])
def test_threshold_keeps_at_least_min_kept(thresh, min_kept):
    """Upstream's rule: below the larger of thresh and the value that min_kept others are under."""
    logits, labels, probability = make_data()
    valid = labels != IGNORE
    order = np.sort(probability[valid])
    limit = max(order[min(2 * min_kept, len(order) - 1)], thresh)
    sampler = build_pixel_sampler(
        dict(type='OHEMPixelSampler', thresh=thresh, min_kept=min_kept), ignore_index=IGNORE
    )
    kept, _ = sample(sampler, logits, labels)
    np.testing.assert_array_equal(kept, valid & (probability < limit - 1e-7))


@pytest.mark.parametrize('min_kept', [2, 10, 1000])
def test_without_threshold_the_highest_losses_are_kept(min_kept):
    logits, labels, _ = make_data()
    valid = labels != IGNORE
    sampler = build_pixel_sampler(dict(type='OHEMPixelSampler', min_kept=min_kept))
    kept, losses = sample(sampler, logits, labels)
    assert kept.sum() == min(2 * min_kept, valid.sum())
    assert not kept[~valid].any()
    if not kept[valid].all():
        assert losses[kept == 1].min() > losses[(kept == 0) & valid].max()


@pytest.mark.parametrize('thresh', [None, 0.7])
def test_mean_over_kept(thresh):
    """The loss is the mean over the pixels kept, as in the reference implementation."""
    logits, labels, probability = make_data()
    cfg = dict(type='OHEMPixelSampler', thresh=thresh, min_kept=7)
    kept, _ = sample(build_pixel_sampler(cfg), logits, labels)
    weights, _ = sample(build_pixel_sampler({**cfg, 'mean_over_kept': True}), logits, labels)
    assert 0 < kept.sum() < (labels != IGNORE).sum()
    loss = build_loss(dict(type='CrossEntropyLoss', avg_non_ignore=True))
    value = loss(ms.Tensor(logits), ms.Tensor(labels), weight=ms.Tensor(weights))
    assert float(value) == pytest.approx(-np.log(probability[kept == 1]).mean(), rel=1e-5)
    nothing, _ = sample(build_pixel_sampler(cfg), logits, np.full_like(labels, IGNORE))
    assert not nothing.any()


@pytest.mark.parametrize('thresh', [None, 0.7])
def test_nothing_valid_keeps_nothing(thresh):
    logits, labels, _ = make_data(ignored=1.1)
    sampler = build_pixel_sampler(dict(type='OHEMPixelSampler', thresh=thresh, min_kept=5))
    assert not sample(sampler, logits, labels)[0].any()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(min_kept=1), 'min_kept is 1, expected a whole number of at least 2'),
        (dict(thresh=7), 'expected a number from 0 to 1'),
    ],
)
def test_bad_values_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build_pixel_sampler(dict(type='OHEMPixelSampler', **options))
