"""Layers of Twins: attention to a smaller map, attention within windows, and positions."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from msseg.models.backbones.mit import EfficientMultiheadAttention
from msseg.models.layers import BatchProduct, build_conv_layer, build_norm_layer, to_map, to_tokens
from msseg.models.layers.pixelwise import row_softmax
from msseg.models.layers.transformer import (
    FFN,
    GELU,
    LN,
    before_shortcut,
    drop_path_layer,
    dropout,
)
from msseg.models.layers.windows import (
    crop_map,
    from_windows,
    pad_to_windows,
    split_heads,
    to_windows,
)
from msseg.utils.errors import UserValueError

_MASKED = -1000.0


class GSAEncoderLayer(nn.Cell):
    """Attention to a smaller map and a feed-forward network, each after a norm.

    Args:
        embed_dims: Length of a token.
        num_heads: Number of heads.
        feedforward_channels: Length inside of the feed-forward network.
        drop_rate: Share of elements that is dropped after projections.
        attn_drop_rate: Share of the attention weights that is dropped.
        drop_path_rate: Share of samples whose branches are dropped, twice in a row as upstream.
        qkv_bias: Whether the projections have biases.
        sr_ratio: How much smaller the map for keys and values is.

    Source: MMSegmentation 0.30 ``GSAEncoderLayer``.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        qkv_bias: bool = True,
        sr_ratio: int = 1,
    ) -> None:
        super().__init__()
        path = drop_path_layer(drop_path_rate)
        self.norm1 = build_norm_layer(LN, embed_dims)[1]
        self.attn = EfficientMultiheadAttention(
            embed_dims, num_heads, attn_drop_rate, drop_rate, path, qkv_bias, LN, sr_ratio
        )
        self.norm2 = build_norm_layer(LN, embed_dims)[1]
        self.ffn = FFN(embed_dims, feedforward_channels, 2, GELU, drop_rate, path, False)
        self.drop_path1, self.drop_path2 = before_shortcut(path), before_shortcut(path)

    def construct(self, x: ms.Tensor, size: tuple[int, int]) -> ms.Tensor:
        """Apply to tokens (n, h w, embed_dims) of a map of `size`."""
        x = x + self.drop_path1(self.attn(self.norm1(x), None, size))
        return x + self.drop_path2(self.ffn(self.norm2(x)))


class LSAEncoderLayer(nn.Cell):
    """Attention within windows and a feed-forward network, each after a norm.

    Args:
        embed_dims: Length of a token.
        num_heads: Number of heads.
        feedforward_channels: Length inside of the feed-forward network.
        drop_rate: Share of elements that is dropped after projections.
        attn_drop_rate: Share of the attention weights that is dropped.
        drop_path_rate: Share of samples whose branches are dropped; that of the feed-forward
            network twice in a row as upstream.
        qkv_bias: Whether queries, keys and values have biases.
        window_size: Height and width of a window.

    Source: MMSegmentation 0.30 ``LSAEncoderLayer``.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        qkv_bias: bool = True,
        window_size: int = 7,
    ) -> None:
        super().__init__()
        path = drop_path_layer(drop_path_rate)
        self.norm1 = build_norm_layer(LN, embed_dims)[1]
        self.attn = LocallyGroupedSelfAttention(
            embed_dims, num_heads, qkv_bias, attn_drop_rate, drop_rate, window_size
        )
        self.norm2 = build_norm_layer(LN, embed_dims)[1]
        self.ffn = FFN(embed_dims, feedforward_channels, 2, GELU, drop_rate, path, False)
        self.drop_path1, self.drop_path2 = before_shortcut(path), before_shortcut(path)

    def construct(self, x: ms.Tensor, size: tuple[int, int]) -> ms.Tensor:
        """Apply to tokens (n, h w, embed_dims) of a map of `size`."""
        x = x + self.drop_path1(self.attn(self.norm1(x), size))
        return x + self.drop_path2(self.ffn(self.norm2(x)))


class LocallyGroupedSelfAttention(nn.Cell):
    """Attention within windows.

    Args:
        embed_dims: Length of a token.
        num_heads: Number of heads, a divisor of `embed_dims`.
        qkv_bias: Whether queries, keys and values have biases.
        attn_drop_rate: Share of the attention weights that is dropped in training.
        proj_drop_rate: Share of the result that is dropped in training.
        window_size: Height and width of a window.

    Source: MMSegmentation 0.30 ``LocallyGroupedSelfAttention``.
    """

    fixed_size_reason = 'its windows depend on the size'

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        qkv_bias: bool = True,
        attn_drop_rate: float = 0.0,
        proj_drop_rate: float = 0.0,
        window_size: int = 7,
    ) -> None:
        super().__init__()
        if embed_dims % num_heads:
            expected = f'a divisor of the {embed_dims} channels'
            raise UserValueError(key='num_heads', got=num_heads, expected=expected, who='SVT')
        self.window_size = window_size
        self.num_heads = num_heads
        self.scale = (embed_dims // num_heads) ** -0.5
        self.qkv = nn.Dense(embed_dims, 3 * embed_dims, has_bias=qkv_bias)
        self.attn_drop = dropout(attn_drop_rate)
        self.proj = nn.Dense(embed_dims, embed_dims)
        self.proj_drop = dropout(proj_drop_rate)
        self.softmax = row_softmax()
        self.similarity = BatchProduct(transpose_b=True)
        self.mixture = BatchProduct()

    def construct(self, x: ms.Tensor, size: tuple[int, int]) -> ms.Tensor:
        """Apply to tokens (n, h w, embed_dims) of a map of `size`."""
        n, length, c = x.shape
        (h, w), side, heads = size, self.window_size, self.num_heads
        x = pad_to_windows(x.reshape(n, h, w, c), side)
        padded = x.shape[1:3]
        x = to_windows(x, side)
        count, tokens = x.shape[:2]
        q, k, v = split_heads(self.qkv(x), heads)
        weights = self.similarity(q * self.scale, k)
        if padded[0] > h and padded[1] > w:
            mask = _padding_mask(h, w, side)
            weights = weights.reshape(n, count // n, heads, tokens, tokens) + mask
            weights = weights.reshape(count, heads, tokens, tokens)
        weights = self.attn_drop(self.softmax(weights))
        x = self.mixture(weights, v).transpose(0, 2, 1, 3).reshape(count, tokens, c)
        x = crop_map(from_windows(x, padded, side), size)
        return self.proj_drop(self.proj(x.reshape(n, length, c)))


class ConditionalPositionEncoding(nn.Cell):
    """A depthwise 3x3 convolution ``proj`` with a shortcut, which tells pixels their places.

    Args:
        embed_dims: Channels.

    Source: Chu et al., Conditional Positional Encodings for Vision Transformers (2021);
        MMSegmentation 0.30 ``ConditionalPositionEncoding`` of stride 1.
    """

    def __init__(self, embed_dims: int) -> None:
        super().__init__()
        self.proj = build_conv_layer(None, embed_dims, embed_dims, 3, padding=1, groups=embed_dims)

    def construct(self, x: ms.Tensor, size: tuple[int, int]) -> ms.Tensor:
        """Apply to tokens (n, h w, embed_dims) of a map of `size`."""
        x = to_map(x, size)
        return to_tokens(self.proj(x) + x)


def padding_mask(h: int, w: int, side: int) -> np.ndarray:
    """Return what keeps the pixels of a padded map from zeros beside and below it, and vice versa.

    Upstream masks only maps that are padded in both directions.

    Returns:
        (windows, 1, side ** 2, side ** 2), float32: 0, and -1000 between pixel and zero.
    """
    padded = np.zeros((h + -h % side, w + -w % side), bool)
    padded[h:], padded[:, w:] = True, True
    padded = padded.reshape(padded.shape[0] // side, side, -1, side).transpose(0, 2, 1, 3)
    padded = padded.reshape(-1, 1, side * side)
    across = padded[:, :, :, None] != padded[:, :, None, :]
    return np.where(across, np.float32(_MASKED), np.float32(0))


@ops.constexpr
def _padding_mask(h: int, w: int, side: int) -> ms.Tensor:
    return ms.Tensor(padding_mask(h, w, side))
