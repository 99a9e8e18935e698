"""Operators in numpy and float64, written out: what layers are compared with on a device."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

Arrays = Mapping[str, np.ndarray]
_STEP = 1e-5  # of central differences in float64
_NUM_DIRECTIONS = 3
_erf = np.vectorize(math.erf)


def convolve(
    x: np.ndarray, weight: np.ndarray, stride: int = 1, dilation: int = 1, groups: int = 1
) -> np.ndarray:
    """Convolve (n, c, h, w) with (o, c / groups, k, k), padded by `dilation` on each side."""
    pad = dilation * (weight.shape[2] // 2)
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    reach = dilation * (weight.shape[2] - 1)
    rows, columns = x.shape[2] - reach, x.shape[3] - reach
    parts = []
    for group, kernel in zip(np.split(x, groups, 1), np.split(weight, groups, 0), strict=True):
        total = 0.0
        for i in range(weight.shape[2]):
            for j in range(weight.shape[3]):
                top, left = i * dilation, j * dilation
                window = group[:, :, top : top + rows : stride, left : left + columns : stride]
                total = total + np.einsum('ncyx,oc->noyx', window, kernel[:, :, i, j])
        parts.append(total)
    return np.concatenate(parts, 1)


def batch_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, eps: float) -> np.ndarray:
    """Normalise (n, c, h, w) by the batch's mean and variance of each channel."""
    return _normalise(x, (0, 2, 3), eps) * _columns(gamma) + _columns(beta)


def group_norm(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, groups: int, eps: float
) -> np.ndarray:
    """Normalise each sample's groups of channels."""
    n, c, h, w = x.shape
    grouped = _normalise(x.reshape(n, groups, -1), (2,), eps).reshape(n, c, h, w)
    return grouped * _columns(gamma) + _columns(beta)


def layer_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, eps: float) -> np.ndarray:
    """Normalise the last axis."""
    return _normalise(x, (-1,), eps) * gamma + beta


def _normalise(x: np.ndarray, axes: tuple[int, ...], eps: float) -> np.ndarray:
    centred = x - x.mean(axes, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axes, keepdims=True) + eps)


def _columns(values: np.ndarray) -> np.ndarray:
    return values.reshape(1, -1, 1, 1)


def resize(x: np.ndarray, size: tuple[int, int], align_corners: bool) -> np.ndarray:
    """Resize (n, c, h, w) bilinearly."""
    rows = _weights(x.shape[2], size[0], align_corners)
    columns = _weights(x.shape[3], size[1], align_corners)
    return np.einsum('yi,ncij,xj->ncyx', rows, x, columns)


def _weights(old: int, new: int, align_corners: bool) -> np.ndarray:
    """Return the (new, old) shares of the old pixels in the new ones."""
    place = np.arange(new)
    if align_corners:
        source = place * (old - 1) / (new - 1)
    else:
        source = ((place + 0.5) * old / new - 0.5).clip(0)
    low = np.floor(source).astype(int).clip(0, old - 1)
    share = source - low
    weights = np.zeros((new, old))
    np.add.at(weights, (place, low), 1 - share)
    np.add.at(weights, (place, (low + 1).clip(0, old - 1)), share)
    return weights


def max_pool(x: np.ndarray) -> np.ndarray:
    """Return the largest of 3x3 pixels at every second one, padded by one."""
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    rows, columns = x.shape[2] - 2, x.shape[3] - 2
    windows = [x[:, :, i : i + rows : 2, j : j + columns : 2] for i in range(3) for j in range(3)]
    return np.max(windows, axis=0)


def adaptive_pool(x: np.ndarray, bins: int) -> np.ndarray:
    """Average (n, c, h, w) over bins x bins parts."""

    def parts(length: int) -> list[slice]:
        return [slice(i * length // bins, -(-(i + 1) * length // bins)) for i in range(bins)]

    rows = [
        np.stack([x[:, :, r, c].mean((2, 3)) for c in parts(x.shape[3])], -1)
        for r in parts(x.shape[2])
    ]
    return np.stack(rows, -2)


def softmax(x: np.ndarray, axis: int = 1) -> np.ndarray:
    """Return the softmax over an axis."""
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def gelu(x: np.ndarray) -> np.ndarray:
    """Return x times the normal distribution function."""
    return x * 0.5 * (1 + _erf(x / math.sqrt(2)))


def cross_entropy(logits: np.ndarray, labels: np.ndarray, ignored: int) -> np.ndarray:
    """Return the mean over all pixels, the ignored ones counting as 0, of -log p(label)."""
    valid = labels != ignored
    index = np.where(valid, labels, 0)[:, None]
    chosen = np.take_along_axis(softmax(logits), index, 1)[:, 0]
    return -(np.log(chosen) * valid).mean()


def lovasz(logits: np.ndarray, labels: np.ndarray, ignored: int) -> np.ndarray:
    """Return the Lovász-softmax of a batch: the mean over its classes."""
    probabilities = softmax(logits).transpose(1, 0, 2, 3).reshape(logits.shape[1], -1)
    valid = labels.reshape(-1) != ignored
    losses = []
    for number in np.unique(labels[labels != ignored]):
        is_class = (labels.reshape(-1) == number)[valid]
        errors = np.abs(is_class - probabilities[number][valid])
        order = np.argsort(-errors)
        hits = is_class[order].cumsum()
        union = is_class.sum() + (~is_class[order]).cumsum()
        jaccard = 1 - (is_class.sum() - hits) / union
        losses.append((errors[order] * np.diff(jaccard, prepend=0)).sum())
    return np.mean(losses)


def gradient_errors(
    function: Callable[..., np.ndarray],
    arrays: Arrays,
    gradients: Arrays,
    factors: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Compare gradients with central differences along random directions.

    Args:
        function: Of the arrays, by name.
        arrays: Where; float64.
        gradients: Of ``(function(...) * factors).sum()``, as a device found them, by name.
        factors: What the function's values are multiplied by.
        rng: For the directions.

    Returns:
        By name the largest difference along a direction, as a share of the gradient's norm; inf
        where a gradient is not finite.
    """
    errors = {}
    for name, gradient in gradients.items():
        worst = 0.0 if np.isfinite(gradient).all() else math.inf
        norm = np.linalg.norm(gradient)
        for _ in range(_NUM_DIRECTIONS if worst == 0 else 0):
            direction = rng.standard_normal(arrays[name].shape)
            ends = [
                (function(**{**arrays, name: arrays[name] + step * direction}) * factors).sum()
                for step in (_STEP, -_STEP)
            ]
            slope = (ends[0] - ends[1]) / (2 * _STEP)
            scale = max(norm, abs(slope), np.finfo(float).tiny)
            worst = max(worst, abs((gradient * direction).sum() - slope) / scale)
        errors[name] = float(worst)
    return errors
