"""Values of maps at points, and the points where two classes compete; for `PointHead`.

Points (n, p, 2) hold x and y as shares of the width and the height: (0, 0) is the upper left corner
of the upper left pixel. Maps of points are (n, c, p, 1).
"""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import ops

_FAR = 1e30  # below all logits


def sample_points(x: ms.Tensor, points: ms.Tensor, align_corners: bool = False) -> ms.Tensor:
    """Interpolate (n, c, h, w) bilinearly at points, with zeros beyond the map.

    Args:
        x: The map.
        points: (n, p, 2), float32; they get no gradient.
        align_corners: Whether 0 and 1 are the centres of the outer pixels, not their edges.

    Returns:
        float32 (n, c, p, 1).

    Source: MMCV 1.7 ``point_sample``, as PyTorch's ``grid_sample``.
    """
    n, c, h, w = x.shape
    # Rows of channels: the gradient of a gather along the last axis is slow on Ascend.
    pixels = x.astype(ms.float32).reshape(n, c, h * w).transpose(0, 2, 1)
    columns, column_weights = _neighbours(points[:, :, 0], w, align_corners)
    rows, row_weights = _neighbours(points[:, :, 1], h, align_corners)
    total = 0.0
    for i in range(2):
        for j in range(2):
            weight = (row_weights[i] * column_weights[j]).expand_dims(2)
            total = total + weight * take_rows(pixels, rows[i] * w + columns[j])
    return total.transpose(0, 2, 1).expand_dims(3)


def label_at(labels: ms.Tensor, points: ms.Tensor, align_corners: bool = False) -> ms.Tensor:
    """Return the labels (n, p, 1) of the pixels of (n, h, w), int32, that are nearest to points."""
    n, h, w = labels.shape
    columns = _nearest(points[:, :, 0], w, align_corners)
    rows = _nearest(points[:, :, 1], h, align_corners)
    flat = labels.reshape(n, h * w, 1)
    return take_rows(flat, rows * w + columns)


def centres(index: ms.Tensor, size: tuple[int, int]) -> ms.Tensor:
    """Return the centres of pixels as points (n, p, 2).

    Args:
        index: (n, p), int32: row * width + column.
        size: The map's (h, w).
    """
    h, w = size
    row = index // w
    column = (index - row * w).astype(ms.float32)
    return ops.stack(((column + 0.5) / w, (row.astype(ms.float32) + 0.5) / h), axis=2)


def take_rows(x: ms.Tensor, index: ms.Tensor) -> ms.Tensor:
    """Return rows of each sample: (n, p, c) of (n, length, c) by an index (n, p), int32."""
    n, length, c = x.shape
    if not ops.isconstant(n):
        first = ops.cumsum(ops.ones_like(index[:, :1]), 0) - 1
        index = index + first * length
    elif n > 1:
        index = index + _first_rows(n) * length
    return ops.gather(x.reshape(-1, c), index, 0)


def uncertainty(logits: ms.Tensor) -> ms.Tensor:
    """Return how close the second class is to the first: their difference, (n, h * w), at most 0.

    Args:
        logits: (n, c, h, w), float32, of at least two classes.

    Source: MMSegmentation 0.30 ``calculate_uncertainty``.
    """
    n, _, h, w = logits.shape
    logits = ops.stop_gradient(logits)
    # A top-k over classes takes ten times as long (MindSpore 2.8, CPU).
    first = ops.amax(logits, axis=1, keepdims=True)
    is_first = ops.equal(logits, first).astype(ms.float32)
    second = ops.amax(logits - _FAR * is_first, axis=1, keepdims=True)
    is_shared = ops.minimum(is_first.sum(axis=1, keepdims=True) - 1.0, 1.0)
    gap = (second - first) * (1.0 - is_shared)
    return gap.reshape(n, h * w)


def most_uncertain(values: ms.Tensor, count: int) -> ms.Tensor:
    """Return the indices (n, count) of the largest of (n, length).

    Where the length is known only at run time and smaller, the last index is repeated; where it is
    known, `count` must not exceed it.
    """
    length = values.shape[1]
    if ops.isconstant(length):
        return ops.topk(values, count)[1]
    lowest = values[:, :1] - 2.0 * _FAR
    padding = ops.tile(lowest, (1, count))
    index = ops.topk(ops.concat((values, padding), axis=1), count)[1]
    return ops.minimum(index, length - 1)


def put_points(x: ms.Tensor, index: ms.Tensor, values: ms.Tensor) -> ms.Tensor:
    """Replace pixels of (n, c, h, w) by `values` (n, c, p, 1) where `index` (n, p) says."""
    n, c, h, w = x.shape
    count = index.shape[1]
    everywhere = ops.broadcast_to(index.expand_dims(1), (n, c, count))
    flat = ops.tensor_scatter_elements(
        x.reshape(n, c, h * w), everywhere, values.reshape(n, c, count), axis=2
    )
    return flat.reshape(n, c, h, w)


def _neighbours(
    share: ms.Tensor, length: int, align_corners: bool
) -> tuple[tuple[ms.Tensor, ms.Tensor], tuple[ms.Tensor, ms.Tensor]]:
    """Return the pixels before and behind positions along an axis, and their weights."""
    position = _position(share, length, align_corners)
    low = ops.floor(position)
    part = position - low
    indices, weights = (), ()
    for pixel, weight in ((low, 1.0 - part), (low + 1.0, part)):
        inside = ops.minimum(ops.maximum(pixel, 0.0), length - 1.0)
        is_outside = ops.minimum(ops.abs(pixel - inside), 1.0)
        indices = indices + (inside.astype(ms.int32),)
        weights = weights + (weight * (1.0 - is_outside),)
    return indices, weights


def _nearest(share: ms.Tensor, length: int, align_corners: bool) -> ms.Tensor:
    position = ops.round(_position(share, length, align_corners))
    return ops.minimum(ops.maximum(position, 0.0), length - 1.0).astype(ms.int32)


def _position(share: ms.Tensor, length: int, align_corners: bool) -> ms.Tensor:
    """Return where points lie among the centres of the pixels of an axis: 0, 1 and so on."""
    share = ops.stop_gradient(share)
    return share * (length - 1.0) if align_corners else share * length - 0.5


@ops.constexpr
def _first_rows(n: int) -> ms.Tensor:
    return ms.Tensor(np.arange(n, dtype=np.int32).reshape(n, 1))
