"""Confidence intervals over images, against a plain loop over resampled images."""

import numpy as np
import pytest

from msseg.evaluation import bootstrap_intervals, compute_scores, format_scores
from msseg.evaluation.metrics import Scores


def matrices(num_images, num_classes=4, seed=0):
    rng = np.random.default_rng(seed)
    made = rng.integers(0, 50, (num_images, num_classes, num_classes))
    made += np.eye(num_classes, dtype=int) * rng.integers(0, 300, (num_images, 1, 1))
    made[rng.random(num_images) < 0.6, -1] = 0  # a class that many images do not have
    return made


def counts_of(made):
    return made.diagonal(axis1=1, axis2=2), made.sum(axis=2), made.sum(axis=1)


@pytest.mark.parametrize(('num_images', 'level'), [(1, 0.95), (7, 0.9), (40, 0.95)])
def test_intervals_are_those_of_resampled_confusion_matrices(num_images, level):
    made = matrices(num_images)
    found = bootstrap_intervals(*counts_of(made), num_resamples=250, seed=3, level=level)
    rng, scores = np.random.default_rng(3), []
    for _ in range(250):
        times = rng.multinomial(num_images, [1 / num_images] * num_images)
        chosen = [i for i, count in enumerate(times) for _ in range(count)]
        assert len(chosen) == num_images
        scores.append(compute_scores(sum(made[i] for i in chosen), 'abcd'))
    ends = [(1 - level) / 2 * 100, (1 + level) / 2 * 100]

    def between(values):
        values = np.array(values)
        return np.percentile(values[~np.isnan(values)], ends)

    assert found.mean_iou == pytest.approx(between([s.summary()['mIoU'] for s in scores]))
    assert found.accuracy == pytest.approx(between([s.overall_accuracy for s in scores]))
    for k in range(4):
        values = [s.per_class['IoU'][k] for s in scores]
        if not np.isnan(values).all():
            assert found.iou[k] == pytest.approx(between(values))


def test_intervals_cover_the_truth_as_often_as_they_say():
    """Images of two classes whose IoU is 0.5 in the mean, 40 at a time."""
    rng, inside = np.random.default_rng(0), 0
    for trial in range(200):
        hits = rng.binomial(300, 2 / 3, (40, 1)) + rng.integers(-60, 61, (40, 1))
        counts = np.full((40, 1), 300)
        low, high = bootstrap_intervals(hits, counts, counts, 200, seed=trial).mean_iou
        inside += low <= 0.5 <= high
    assert 180 <= inside <= 198


def test_classes_and_sets_without_pixels_have_none():
    zeros = np.zeros((3, 2), int)
    found = bootstrap_intervals(zeros, zeros, zeros, 10)
    assert np.isnan(found.iou).all() and np.isnan(found.mean_iou).all()


def test_scores_and_table_show_them():
    made = matrices(20)
    scores = compute_scores(made.sum(axis=0), 'abcd')
    intervals = bootstrap_intervals(*counts_of(made), num_resamples=100)
    scores = Scores(**{**vars(scores), 'intervals': intervals})
    flat = scores.as_dict()
    assert flat['mIoU_low'] < flat['mIoU'] < flat['mIoU_high']
    assert flat['IoU.a_low'] < flat['IoU.a'] < flat['IoU.a_high']
    low, high = (f'{100 * value:.2f}' for value in intervals.mean_iou)
    text = format_scores(scores)
    assert 'IoU, 95 %' in text and f'{low} to {high}' in text
