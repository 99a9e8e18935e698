"""Windows of a map of tokens, for attention within each.

MindSpore's Pad and StridedSlice, which ``x[:, :h]`` is, take 10 to 40 times a concatenation's or a
split's time on the CPU (2.8): a sixth of the prediction of UPerNet on Swin-T. So neither is here.
"""

from __future__ import annotations

import mindspore as ms
from mindspore import ops


def pad_to_windows(x: ms.Tensor, side: int) -> ms.Tensor:
    """Add zeros at the bottom and right of (n, h, w, c) until windows of `side` fit."""
    n, h, w, c = x.shape
    bottom, right = -h % side, -w % side
    if bottom > 0:
        x = ops.concat((x, ops.zeros((n, bottom, w, c), x.dtype)), 1)
    if right > 0:
        x = ops.concat((x, ops.zeros((n, h + bottom, right, c), x.dtype)), 2)
    return x


def crop_map(x: ms.Tensor, size: tuple[int, int]) -> ms.Tensor:
    """Keep the first rows and columns of (n, h, w, c), as many as `size` says."""
    h, w = x.shape[1:3]
    if h > size[0]:
        x = ops.split(x, [size[0], h - size[0]], 1)[0]
    if w > size[1]:
        x = ops.split(x, [size[1], w - size[1]], 2)[0]
    return x


def roll_map(x: ms.Tensor, step: int) -> ms.Tensor:
    """Move (n, h, w, c) up and left by `step`; what leaves it comes in at the other side."""
    h, w = x.shape[1:3]
    upper, lower = ops.split(x, [step % h, h - step % h], 1)
    left, right = ops.split(ops.concat((lower, upper), 1), [step % w, w - step % w], 2)
    return ops.concat((right, left), 2)


def to_windows(x: ms.Tensor, side: int) -> ms.Tensor:
    """Turn a map (n, h, w, c) that windows fit into (n windows, side ** 2, c)."""
    n, h, w, c = x.shape
    x = x.reshape(n, h // side, side, w // side, side, c).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(-1, side * side, c)


def from_windows(x: ms.Tensor, size: tuple[int, int], side: int) -> ms.Tensor:
    """Turn (n windows, side ** 2, c) into the map (n, h, w, c) of a `size` that windows fit.

    Examples:
        >>> x = ops.randn(2, 6, 9, 4)
        >>> bool((from_windows(to_windows(x, 3), (6, 9), 3) == x).all())
        True
    """
    rows, columns = size[0] // side, size[1] // side
    c = x.shape[2]
    x = x.reshape(-1, rows, columns, side, side, c).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(-1, size[0], size[1], c)


def split_heads(qkv: ms.Tensor, heads: int) -> tuple[ms.Tensor, ms.Tensor, ms.Tensor]:
    """Turn (n, tokens, 3 c) into queries, keys and values, (n, heads, tokens, c / heads) each."""
    n, tokens, width = qkv.shape
    q, k, v = ops.split(qkv, width // 3, 2)
    shape, axes = (n, tokens, heads, width // 3 // heads), (0, 2, 1, 3)
    return (
        q.reshape(shape).transpose(axes),
        k.reshape(shape).transpose(axes),
        v.reshape(shape).transpose(axes),
    )
