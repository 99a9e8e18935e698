"""Confusion matrix, the scores from it, and their confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from msseg.utils.errors import unknown_name

# The per-class scores that each metric reports; all but the last are MMSegmentation 0.x's.
METRICS = {
    'mIoU': ('IoU', 'Acc'),
    'mDice': ('Dice', 'Acc'),
    'mFscore': ('Fscore', 'Precision', 'Recall'),
    'mBoundaryIoU': ('BoundaryIoU',),
}

_MOST_NAMED = 10
_RESAMPLES_AT_ONCE = 100
# Intermediate arrays of this size stay in the processor's cache, three times as fast as memory.
_BLOCK_PIXELS = 1 << 16


class Intervals(NamedTuple):
    """Confidence intervals, each (low, high), as fractions of 1.

    Attributes:
        level: Share of the resamples inside.
        iou: float64 (K, 2), of the IoU of each class; NaN for a class without labelled pixels.
        mean_iou: float64 (2,), of the mIoU.
        accuracy: float64 (2,), of the share of right pixels.
    """

    level: float
    iou: np.ndarray
    mean_iou: np.ndarray
    accuracy: np.ndarray


@dataclass(frozen=True)
class Scores:
    """Scores of a data set, as fractions of 1.

    Attributes:
        classes: Names of the K classes.
        per_class: Score name to float64 (K,); NaN for a class without labelled pixels.
        num_pixels: Labelled pixels of each class, int64 (K,).
        overall_accuracy: Share of the labelled pixels that are predicted right; NaN without any.
        intervals: Of IoU, mIoU and accuracy, if they were computed.
    """

    classes: tuple[str, ...]
    per_class: dict[str, np.ndarray]
    num_pixels: np.ndarray
    overall_accuracy: float
    intervals: Intervals | None = None

    @property
    def absent(self) -> list[str]:
        """Names of the classes without a labelled pixel."""
        return [name for name, n in zip(self.classes, self.num_pixels, strict=True) if n == 0]

    def coverage(self) -> str:
        """Return which classes the scores leave out, '' if none.

        Such as ``over 1 of 2 classes: road has no labelled pixel``.
        """
        absent = self.absent
        if not absent:
            return ''
        number = len(self.classes)
        if len(absent) == number:
            return f'over 0 of {number} classes: there is no labelled pixel'
        more = len(absent) - _MOST_NAMED
        names = ', '.join(absent[:_MOST_NAMED]) + (f' and {more} more' if more > 0 else '')
        have = 'has' if len(absent) == 1 else 'have'
        return f'over {number - len(absent)} of {number} classes: {names} {have} no labelled pixel'

    def summary(self) -> dict[str, float]:
        """Return ``aAcc`` and, for each score, its mean over the classes with labels."""
        means = {f'm{name}': mean_of_present(values) for name, values in self.per_class.items()}
        return {'aAcc': self.overall_accuracy, **means}

    def as_dict(self) -> dict[str, float]:
        """Return the summary and every class's score under ``IoU.name``, as logs hold them."""
        flat = {
            f'{score}.{name}': float(value)
            for score, values in self.per_class.items()
            for name, value in zip(self.classes, values, strict=True)
        }
        return {**self.summary(), **flat, **self._bounds()}

    def _bounds(self) -> dict[str, float]:
        if self.intervals is None:
            return {}
        pairs = {'mIoU': self.intervals.mean_iou, 'aAcc': self.intervals.accuracy}
        pairs |= {f'IoU.{n}': p for n, p in zip(self.classes, self.intervals.iou, strict=True)}
        return {
            f'{key}_{end}': float(value)
            for key, pair in pairs.items()
            for end, value in zip(('low', 'high'), pair, strict=True)
        }


def confusion_matrix(
    prediction: np.ndarray, label: np.ndarray, num_classes: int, ignore_index: int = 255
) -> np.ndarray:
    """Count the labelled pixels of an image by label and prediction.

    Args:
        prediction: Predicted classes, (h, w), integers in [0, num_classes).
        label: Labelled classes, (h, w), integers in [0, num_classes) or `ignore_index`.
        num_classes: Number of classes K.
        ignore_index: Label of the pixels that do not count.

    Returns:
        int64 (K, K); entry [i, j] is the number of pixels of class i predicted as class j.

    Raises:
        ValueError: The shapes differ, or a counted pixel is outside [0, num_classes).

    Examples:
        >>> label = np.array([[0, 0, 1, 255]])
        >>> confusion_matrix(np.array([[0, 1, 1, 1]]), label, num_classes=2)
        array([[1, 1],
               [0, 1]])
    """
    if prediction.shape != label.shape:
        raise ValueError(
            f'the prediction has shape {prediction.shape} but the label has {label.shape}: '
            'resize the prediction to the label before counting'
        )
    matrix = np.zeros((num_classes, num_classes), np.int64)
    predictions, labels = prediction.reshape(-1), label.reshape(-1)
    for start in range(0, labels.size, _BLOCK_PIXELS):
        block = slice(start, start + _BLOCK_PIXELS)
        matrix += _count_block(predictions[block], labels[block], num_classes, ignore_index)
    return matrix


def _count_block(
    prediction: np.ndarray, label: np.ndarray, num_classes: int, ignore_index: int
) -> np.ndarray:
    counted = label != ignore_index
    rows = label[counted]
    columns = prediction[counted]
    if rows.size == 0:
        return np.zeros((num_classes, num_classes), np.int64)
    for name, values in (('label', rows), ('prediction', columns)):
        if values.min() < 0 or values.max() >= num_classes:
            raise ValueError(
                f'the {name} holds classes {values.min()} to {values.max()}, expected 0 to '
                f'{num_classes - 1}: check num_classes and ignore_index={ignore_index}'
            )
    # int32 suffices for the joint index and is half the memory traffic of int64.
    joint = rows.astype(np.int32) * num_classes + columns
    counts = np.bincount(joint, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def check_metrics(metrics: str | Sequence[str], also: Sequence[str] = ()) -> list[str]:
    """Return metric names as a list.

    Args:
        metrics: One or several.
        also: Names to accept that are not in ``METRICS``.

    Raises:
        KeyError: One is unknown.
    """
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    known = [*METRICS, *also]
    for name in names:
        if name not in known:
            raise unknown_name(f'metric {name!r} is not known', name, known)
    return names


def reported_keys(metrics: str | Sequence[str], classes: Sequence[str]) -> list[str]:
    """Return the keys of `Scores.as_dict`, to check options before there are scores."""
    empty = np.zeros((len(classes), len(classes)), np.int64)
    return list(compute_scores(empty, classes, metrics, boundary=empty[:, :2]).as_dict())


def compute_scores(
    matrix: np.ndarray,
    classes: Sequence[str],
    metrics: str | Sequence[str] = 'mIoU',
    beta: float = 1.0,
    boundary: np.ndarray | None = None,
) -> Scores:
    """Derive scores from a confusion matrix.

    A class without labelled pixels has NaN everywhere and enters no mean; a class with labels
    that was never predicted has precision 0.

    Args:
        matrix: int64 (K, K), rows are labels, columns predictions.
        classes: Names of the K classes.
        metrics: Some of ``METRICS``.
        beta: Weight of recall in the F-score.
        boundary: What `count_boundaries` gives, summed over images; for mBoundaryIoU.

    Raises:
        KeyError: An unknown metric.
        ValueError: The matrix does not fit the classes, or `boundary` is missing.

    Examples:
        >>> scores = compute_scores(np.array([[3, 1], [0, 4]]), ('road', 'car'))
        >>> scores.summary()
        {'aAcc': 0.875, 'mIoU': 0.775, 'mAcc': 0.875}
    """
    if matrix.shape != (len(classes), len(classes)):
        raise ValueError(f'a matrix of {matrix.shape} does not fit {len(classes)} classes')
    hits = np.diag(matrix).astype(np.float64)
    labelled = matrix.sum(axis=1)
    predicted = matrix.sum(axis=0)
    recall = _ratio(hits, labelled, labelled)
    precision = _ratio(hits, np.maximum(predicted, 1), labelled)
    weighted = np.where(hits > 0, beta**2 * precision + recall, 1)
    scores = {
        'IoU': _ratio(hits, labelled + predicted - hits, labelled),
        'Acc': recall,
        'Dice': _ratio(2 * hits, labelled + predicted, labelled),
        'Fscore': _ratio(
            (1 + beta**2) * precision * recall, np.where(hits > 0, weighted, 1), labelled
        ),
        'Precision': precision,
        'Recall': recall,
    }
    names = dict.fromkeys(name for metric in check_metrics(metrics) for name in METRICS[metric])
    if 'BoundaryIoU' in names:
        if boundary is None:
            raise ValueError('mBoundaryIoU needs the counts of boundaries: give boundary')
        scores['BoundaryIoU'] = _ratio(boundary[:, 0], np.maximum(boundary[:, 1], 1), labelled)
    total = labelled.sum()
    return Scores(
        classes=tuple(classes),
        per_class={name: scores[name] for name in names},
        num_pixels=labelled,
        overall_accuracy=float(hits.sum() / total) if total else float('nan'),
    )


def mean_of_present(values: np.ndarray) -> float:
    """Return the mean of the values that are not NaN, or NaN if all are."""
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else float('nan')


def _ratio(part: np.ndarray, whole: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    result = np.full(len(part), np.nan)
    np.divide(part, whole, out=result, where=labelled > 0)
    return result


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

    Examples:
        >>> counts = np.array([[8, 4], [6, 2]])
        >>> bootstrap_intervals(counts, counts, counts).mean_iou
        array([1., 1.])
    """
    rng, num_images = np.random.default_rng(seed), len(hits)
    ious, means, accuracies = [], [], []
    for start in range(0, num_resamples, _RESAMPLES_AT_ONCE):
        count = min(_RESAMPLES_AT_ONCE, num_resamples - start)
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
