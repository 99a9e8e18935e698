"""Confidence intervals of scores by resampling the images."""

from __future__ import annotations

import numpy as np

from msseg.evaluation.metrics import Intervals, mean_of_present

_CHUNK = 100  # resamples at a time


def bootstrap_intervals(
    hits: np.ndarray,
    labelled: np.ndarray,
    predicted: np.ndarray,
    num_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Intervals:
    """Return percentile intervals of scores over images.

    Each resample draws as many images as there are, with replacement; its scores are those of the
    summed pixels, and its mIoU leaves out classes that it has no labelled pixel of. The intervals
    say how much the scores depend on which images were labelled, not on the seed of training.

    Args:
        hits: Right pixels by image and class, int64 (N, K).
        labelled: Labelled pixels.
        predicted: Predicted pixels among the labelled ones.
        num_resamples: Number of resamples, 1 or more.
        seed: Of the draws.
        level: Share of the resamples inside.

    Source: B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.

    Example:
        >>> counts = np.array([[8, 4], [6, 2]])
        >>> bootstrap_intervals(counts, counts, counts).mean_iou
        array([1., 1.])
    """
    rng, num_images = np.random.default_rng(seed), len(hits)
    ious, means, accuracies = [], [], []
    for start in range(0, num_resamples, _CHUNK):
        count = min(_CHUNK, num_resamples - start)
        times = rng.multinomial(num_images, np.full(num_images, 1 / num_images), size=count)
        # exact in float64, and fast: sums are below 2 ** 53
        right, rows, columns = (times.astype(float) @ each for each in (hits, labelled, predicted))
        iou = np.full(right.shape, np.nan)
        np.divide(right, rows + columns - right, out=iou, where=rows > 0)
        ious.append(iou)
        means += [mean_of_present(each) for each in iou]
        total = rows.sum(axis=1)
        accuracy = np.full(count, np.nan)
        accuracies.append(np.divide(right.sum(axis=1), total, out=accuracy, where=total > 0))
    return Intervals(
        level=level,
        iou=np.array([_interval(column, level) for column in np.concatenate(ious).T]),
        mean_iou=_interval(np.array(means), level),
        accuracy=_interval(np.concatenate(accuracies), level),
    )


def _interval(values: np.ndarray, level: float) -> np.ndarray:
    """Return the percentiles between which so many values lie, of those that are not NaN."""
    values = values[~np.isnan(values)]
    if not values.size:
        return np.full(2, np.nan)
    return np.percentile(values, [50 * (1 - level), 50 * (1 + level)])
