"""Attention and feed-forward layers of transformers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import (
    Initializer,
    Normal,
    TruncatedNormal,
    XavierUniform,
    initializer,
)

from msseg.models.layers.activation import build_activation_layer
from msseg.models.layers.dropout import build_dropout
from msseg.models.layers.norm import build_norm_layer
from msseg.models.layers.pixelwise import row_softmax
from msseg.models.layers.precision import BatchProduct
from msseg.models.layers.res_block import recompute_without_norms
from msseg.registry import Registry
from msseg.utils.arguments import Channels, PositiveInt, Probability, checked
from msseg.utils.errors import UserValueError
from msseg.utils.layer_traits import register_traits
from msseg.utils.upstream import check_cell

TRANSFORMER_LAYERS = Registry('transformer layer', check_cell)
GELU: Mapping = MappingProxyType({'type': 'GELU'})
LN: Mapping = MappingProxyType({'type': 'LN'})


class MultiheadAttention(nn.Cell):
    """Attention with several heads, dropouts and a shortcut.

    Args:
        embed_dims: Length of a token.
        num_heads: Number of heads, a divisor of `embed_dims`.
        attn_drop: Share of the attention weights that is dropped in training.
        proj_drop: Share of the result that is dropped in training.
        dropout_layer: The dropout before the shortcut, such as ``DropPath``; None for none.
        bias: Whether the projections have biases.

    Source: MMCV 1.7 ``MultiheadAttention`` with ``batch_first=True``, around PyTorch's layer.
    """

    @checked
    def __init__(
        self,
        embed_dims: Channels,
        num_heads: PositiveInt,
        attn_drop: Probability = 0.0,
        proj_drop: Probability = 0.0,
        dropout_layer: Mapping | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if embed_dims % num_heads:
            expected = f'a divisor of embed_dims={embed_dims}'
            raise UserValueError(
                key='num_heads', got=num_heads, expected=expected, who='MultiheadAttention'
            )
        self.attn = _ScaledDotProduct(embed_dims, num_heads, attn_drop, bias)
        self.proj_drop = dropout(proj_drop)
        self.dropout_layer = (
            nn.Identity() if dropout_layer is None else build_dropout(dropout_layer)
        )

    def construct(
        self, query: ms.Tensor, identity: ms.Tensor, source: ms.Tensor | None = None
    ) -> ms.Tensor:
        """Add the attention's result to `identity`.

        Args:
            query: Tokens (n, l, embed_dims).
            identity: Of the same shape: the input before the norm, for pre-norm layers.
            source: Tokens (n, s, embed_dims) of keys and values; None: `query`.
        """
        out = self.attn(query, query if source is None else source, source is None)
        return identity + self.dropout_layer(self.proj_drop(out))


class _ScaledDotProduct(nn.Cell):
    """What PyTorch's ``nn.MultiheadAttention`` computes, with its names of weights."""

    def __init__(self, dims: int, num_heads: int, drop: float, has_bias: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dims = dims
        self.scale = (dims // num_heads) ** -0.5
        self.in_proj = PackedDense(dims, 3, has_bias)
        self.out_proj = nn.Dense(dims, dims, bias_init='zeros', has_bias=has_bias)
        self.drop = dropout(drop)
        self.softmax = row_softmax()
        self.similarity = BatchProduct(transpose_b=True)
        self.mixture = BatchProduct()

    def construct(self, query: ms.Tensor, source: ms.Tensor, is_self: bool) -> ms.Tensor:
        if is_self:
            q, k, v = ops.split(self.in_proj(query, 0, 3), self.dims, axis=2)
        else:
            q = self.in_proj(query, 0, 1)
            k, v = ops.split(self.in_proj(source, 1, 3), self.dims, axis=2)
        weights = self.similarity(self.split_heads(q) * self.scale, self.split_heads(k))
        weights = self.drop(self.softmax(weights))
        out = self.mixture(weights, self.split_heads(v)).transpose(0, 2, 1, 3)
        return self.out_proj(out.reshape(query.shape))

    def split_heads(self, x: ms.Tensor) -> ms.Tensor:
        n, length, dims = x.shape
        x = x.reshape(n, length, self.num_heads, dims // self.num_heads)
        return x.transpose(0, 2, 1, 3)


class PackedDense(nn.Cell):
    """Several linear layers of the same shape in one matrix, of which a range can be applied.

    Args:
        dims: Length of a token, before and after.
        count: Number of layers.
        has_bias: Whether they have biases, initialised to 0.
    """

    def __init__(self, dims: int, count: int, has_bias: bool = True) -> None:
        super().__init__()
        self.dims = dims
        self.has_bias = has_bias
        weight = initializer(XavierUniform(), (count * dims, dims), ms.float32)
        self.weight = Parameter(weight, 'weight')
        if has_bias:
            self.bias = Parameter(ops.zeros(count * dims, ms.float32), 'bias')
        self.product = ops.MatMul(transpose_b=True)
        self.add_bias = ops.BiasAdd()

    def construct(self, x: ms.Tensor, first: int, end: int) -> ms.Tensor:
        """Apply layers `first` to `end` - 1 to (n, l, dims): (n, l, (end - first) dims)."""
        n, length, dims = x.shape
        begin, stop = first * self.dims, end * self.dims
        # MindSpore 2.8 casts parameters for mixed precision, but not what is computed of them.
        weight = self.weight[begin:stop].astype(x.dtype)
        y = self.product(x.reshape(n * length, dims), weight)
        if self.has_bias:
            y = self.add_bias(y, self.bias[begin:stop].astype(x.dtype))
        return y.reshape(n, length, stop - begin)


class FFN(nn.Cell):
    """Feed-forward network: linear layers with activation and dropout, and a shortcut.

    Args:
        embed_dims: Length of a token.
        feedforward_channels: Length inside.
        num_fcs: Number of linear layers, at least 2.
        act_cfg: See `build_activation_layer`.
        ffn_drop: Share of elements that each linear layer's dropout zeroes in training.
        dropout_layer: The dropout before the shortcut, such as ``DropPath``; None for none.
        add_identity: Whether there is a shortcut.

    Source: MMCV 1.7 ``FFN``.
    """

    @checked
    def __init__(
        self,
        embed_dims: Channels = 256,
        feedforward_channels: Channels = 1024,
        num_fcs: PositiveInt = 2,
        act_cfg: Mapping = MappingProxyType({'type': 'ReLU'}),
        ffn_drop: Probability = 0.0,
        dropout_layer: Mapping | None = None,
        add_identity: bool = True,
    ) -> None:
        super().__init__()
        if num_fcs < 2:
            raise UserValueError(key='num_fcs', got=num_fcs, expected='at least 2', who='FFN')
        widths = [embed_dims, *[feedforward_channels] * (num_fcs - 1)]
        blocks = [
            nn.SequentialCell(
                [
                    nn.Dense(widths[i], widths[i + 1]),
                    build_activation_layer(act_cfg),
                    dropout(ffn_drop),
                ]
            )
            for i in range(num_fcs - 1)
        ]
        last = nn.Dense(feedforward_channels, embed_dims)
        self.layers = nn.SequentialCell([*blocks, last, dropout(ffn_drop)])
        self.add_identity = add_identity
        self.dropout_layer = (
            nn.Identity() if dropout_layer is None else build_dropout(dropout_layer)
        )

    def construct(self, x: ms.Tensor, identity: ms.Tensor | None = None) -> ms.Tensor:
        """Apply to (n, l, embed_dims) and add it to `identity`, by default x."""
        out = self.dropout_layer(self.layers(x))
        if not self.add_identity:
            return out
        return (x if identity is None else identity) + out


class TransformerEncoderLayer(nn.Cell):
    """Attention and feed-forward network, each with a norm before and a shortcut.

    Args:
        embed_dims: Length of a token.
        num_heads: Number of heads.
        feedforward_channels: Length inside of the feed-forward network.
        drop_rate: Share of elements that is dropped after linear layers in training.
        attn_drop_rate: Share of the attention weights that is dropped in training.
        drop_path_rate: Share of samples whose branch is dropped in training.
        num_fcs: Number of linear layers in the feed-forward network.
        qkv_bias: Whether the projections of the attention have biases.
        act_cfg: See `build_activation_layer`.
        norm_cfg: See `build_norm_layer`.
        with_cp: Recompute the layer in the backward pass to save memory.

    Source: Dosovitskiy et al., An Image is Worth 16x16 Words (2021); MMSegmentation 0.30
        ``TransformerEncoderLayer``, in which drop path concerns the feed-forward branch alone.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        num_fcs: int = 2,
        qkv_bias: bool = True,
        act_cfg: Mapping = GELU,
        norm_cfg: Mapping = LN,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        self.ln1 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.attn = MultiheadAttention(
            embed_dims, num_heads, attn_drop_rate, drop_rate, bias=qkv_bias
        )
        self.ln2 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.ffn = FFN(
            embed_dims,
            feedforward_channels,
            num_fcs,
            act_cfg,
            drop_rate,
            drop_path_layer(drop_path_rate),
        )
        if with_cp:
            recompute_without_norms(self)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply to (n, l, embed_dims)."""
        x = self.attn(self.ln1(x), x)
        return self.ffn(self.ln2(x), x)


def build_transformer_layer(cfg: Mapping) -> nn.Cell:
    """Build the layer that a config names.

    Args:
        cfg: ``type`` is a name in `TRANSFORMER_LAYERS`.

    Raises:
        KeyError: An unknown ``type``.
        TypeError: An argument that the layer does not take.

    Examples:
        >>> build_transformer_layer(dict(type='KernelUpdator', in_channels=4)).out_channels
        4
    """
    return TRANSFORMER_LAYERS.build(cfg.copy())


def dropout(ratio: float) -> nn.Cell:
    """Return a dropout, for a ratio of 0 a layer without state."""
    return build_dropout(dict(type='Dropout', drop_prob=ratio)) if ratio > 0 else nn.Identity()


def drop_path_layer(rate: float) -> dict[str, Any] | None:
    """Return the config of a drop path, None for a rate of 0."""
    return dict(type='DropPath', drop_prob=rate) if rate > 0 else None


def drop_path_rates(rate: float, depth: int) -> list[float]:
    """Return the rate of each layer: from 0 to `rate`, in equal steps.

    Examples:
        >>> drop_path_rates(0.5, 3)
        [0.0, 0.25, 0.5]
    """
    return [float(each) for each in np.linspace(0, rate, depth)]


def before_shortcut(dropout_layer: Mapping | None) -> nn.Cell:
    """Build the dropout between a branch and its shortcut; None for none."""
    return nn.Identity() if dropout_layer is None else build_dropout(dropout_layer)


def initialise_transformer(cell: nn.Cell) -> None:
    """Initialise linear layers truncated normal of deviation 0.02 and convolutions Kaiming.

    Biases are 0. The fan out of a convolution is that of a group.
    """
    for _, layer in cell.cells_and_names():
        if isinstance(layer, nn.Dense):
            law: Initializer = TruncatedNormal(0.02)
        elif isinstance(layer, nn.Conv2d):
            fan_out = math.prod(layer.weight.shape[2:]) * layer.out_channels // layer.group
            law = Normal(math.sqrt(2.0 / fan_out))
        else:
            continue
        layer.weight.set_data(initializer(law, layer.weight.shape, layer.weight.dtype))
        if layer.has_bias:
            layer.bias.set_data(initializer('zeros', layer.bias.shape, layer.bias.dtype))


register_traits(PackedDense, precision='low')
