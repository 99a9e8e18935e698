"""Attention within windows, as in Swin Transformer."""

from __future__ import annotations

import math
from collections.abc import Mapping

import mindspore as ms
import numpy as np
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import TruncatedNormal, initializer

from msseg.models.layers import BatchProduct, resize_array
from msseg.models.layers.pixelwise import row_softmax
from msseg.models.layers.transformer import before_shortcut, dropout
from msseg.models.layers.windows import (
    crop_map,
    from_windows,
    pad_to_windows,
    roll_map,
    split_heads,
    to_windows,
)
from msseg.utils.errors import UserValueError

_MASKED = -100.0


class ShiftWindowMSA(nn.Cell):
    """Divide a map into windows, which may be shifted, and attend within each.

    Args:
        w_msa: The attention.
        shift_size: By how many patches the windows are shifted.
        dropout_layer: The dropout of the result; None for none.
    """

    def __init__(self, w_msa: WindowMSA, shift_size: int, dropout_layer: Mapping | None) -> None:
        super().__init__()
        self.w_msa = w_msa
        self.window_size = w_msa.window_size
        self.shift_size = shift_size
        self.drop = before_shortcut(dropout_layer)

    def construct(self, x: ms.Tensor, size: tuple[int, int], mask: ms.Tensor) -> ms.Tensor:
        """Apply to tokens (n, h w, c) of a map of `size`."""
        n, length, c = x.shape
        side = self.window_size
        x = pad_to_windows(x.reshape(n, *size, c), side)
        padded = x.shape[1:3]
        if self.shift_size > 0:
            x = roll_map(x, self.shift_size)
        x = to_windows(x, side)
        if self.shift_size > 0:
            x = self.w_msa(x, mask)
        else:
            x = self.w_msa(x, None)
        x = from_windows(x, padded, side)
        if self.shift_size > 0:
            x = roll_map(x, -self.shift_size)
        return self.drop(crop_map(x, size).reshape(n, length, c))


class WindowMSA(nn.Cell):
    """Attention with several heads and a bias by relative position.

    Args:
        embed_dims: Length of a token.
        num_heads: Number of heads, a divisor of `embed_dims`.
        window_size: Height and width of a window in patches.
        qkv_bias: Whether queries, keys and values have biases.
        qk_scale: Factor of the products of queries and keys; None for the usual one.
        attn_drop_rate: Share of the attention weights that is dropped in training.
        proj_drop_rate: Share of the result that is dropped in training.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        window_size: int,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        attn_drop_rate: float = 0.0,
        proj_drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        if embed_dims % num_heads:
            expected = f'a divisor of the {embed_dims} channels'
            raise UserValueError(
                key='num_heads', got=num_heads, expected=expected, who='SwinTransformer'
            )
        self.window_size = window_size
        self.num_heads = num_heads
        self.scale = (embed_dims // num_heads) ** -0.5 if qk_scale is None else qk_scale
        shape = ((2 * window_size - 1) ** 2, num_heads)
        table = initializer(TruncatedNormal(0.02), shape, ms.float32)
        self.relative_position_bias_table = Parameter(table, 'relative_position_bias_table')
        self.index = ms.Tensor(relative_positions(window_size, window_size).ravel(), ms.int32)
        self.qkv = nn.Dense(embed_dims, 3 * embed_dims, has_bias=qkv_bias)
        self.attn_drop = dropout(attn_drop_rate)
        self.proj = nn.Dense(embed_dims, embed_dims)
        self.proj_drop = dropout(proj_drop_rate)
        self.softmax = row_softmax()
        self.similarity = BatchProduct(transpose_b=True)
        self.mixture = BatchProduct()

    def fit_table(self, name: str, table: np.ndarray) -> np.ndarray | None:
        """Resize a file's table of biases, that of another size of windows."""
        side = math.isqrt(len(table))
        if name != 'relative_position_bias_table' or side**2 != len(table) or table.ndim != 2:
            return None
        new = 2 * self.window_size - 1
        return resize_array(table.T.reshape(-1, side, side), (new, new)).reshape(-1, new**2).T

    def construct(self, x: ms.Tensor, mask: ms.Tensor | None) -> ms.Tensor:
        """Apply to windows (n windows, tokens, c).

        Args:
            x: The tokens of the windows of each sample.
            mask: (windows, 1, tokens, tokens), added to the products; None: nothing.
        """
        count, tokens, c = x.shape
        heads = self.num_heads
        q, k, v = split_heads(self.qkv(x), heads)
        bias = ops.gather(self.relative_position_bias_table, self.index, 0)
        bias = bias.reshape(1, tokens, tokens, heads).transpose(0, 3, 1, 2)
        weights = self.similarity(q * self.scale, k) + bias
        if mask is not None:
            windows = mask.shape[0]
            weights = weights.reshape(count // windows, windows, heads, tokens, tokens) + mask
            weights = weights.reshape(count, heads, tokens, tokens)
        weights = self.attn_drop(self.softmax(weights))
        out = self.mixture(weights, v).transpose(0, 2, 1, 3).reshape(count, tokens, c)
        return self.proj_drop(self.proj(out))


def relative_positions(h: int, w: int) -> np.ndarray:
    """Return the (h w, h w) rows of a table of (2 h - 1)(2 w - 1) biases, for windows (h, w)."""
    places = np.stack(np.meshgrid(np.arange(h), np.arange(w), indexing='ij')).reshape(2, -1)
    apart = places[:, :, None] - places[:, None, :]
    return (apart[0] + h - 1) * (2 * w - 1) + apart[1] + w - 1


def shift_mask(h: int, w: int, side: int) -> np.ndarray:
    """Return the mask of the shifted windows of a map: 0 within a region, -100 across.

    Returns:
        (windows, 1, side ** 2, side ** 2), float32.
    """
    regions = []
    for length in (h + -h % side, w + -w % side):
        place = np.arange(length)
        regions.append((place >= length - side).astype(int) + (place >= length - side // 2))
    ids = regions[0][:, None] * 3 + regions[1]
    ids = ids.reshape(ids.shape[0] // side, side, -1, side).transpose(0, 2, 1, 3)
    ids = ids.reshape(-1, 1, side * side)
    across = ids[:, :, :, None] != ids[:, :, None, :]
    return np.where(across, np.float32(_MASKED), np.float32(0))


@ops.constexpr
def window_mask(h: int, w: int, side: int) -> ms.Tensor:
    """Return `shift_mask` as a constant of the graph."""
    return ms.Tensor(shift_mask(h, w, side))
