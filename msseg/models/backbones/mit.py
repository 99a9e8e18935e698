"""Mix Vision Transformer: SegFormer's backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from types import MappingProxyType
from typing import Annotated

import mindspore as ms
from mindspore import nn

from msseg.models.builder import BACKBONES
from msseg.models.layers import (
    PatchEmbed,
    build_activation_layer,
    build_conv_layer,
    build_norm_layer,
    drop_path_rates,
    initialise_transformer,
    recompute_without_norms,
    to_map,
    to_tokens,
)
from msseg.models.layers.dropout import Ratio
from msseg.models.layers.transformer import (
    GELU,
    LN,
    MultiheadAttention,
    before_shortcut,
    drop_path_layer,
    dropout,
)
from msseg.utils.arguments import Channels, File, NonEmpty, PositiveInt, Range, checked
from msseg.utils.errors import UserValueError

_LN: Mapping = MappingProxyType({'type': 'LN', 'eps': 1e-6})
Counts = NonEmpty[PositiveInt]
Kernels = NonEmpty[Annotated[int, Range(1, 255)]]


@BACKBONES.register_module()
class MixVisionTransformer(nn.Cell):
    """Mix Vision Transformer: the maps of the chosen stages.

    Each stage merges overlapping patches and applies transformer layers, whose keys and values come
    from a smaller map.

    Args:
        in_channels: Channels of the image.
        embed_dims: Channels per attention head: a stage has ``embed_dims * num_heads``.
        num_stages: Number of stages; as many numbers have the next five arguments.
        num_layers: Transformer layers of each stage.
        num_heads: Attention heads of each stage.
        patch_sizes: Height and width of each stage's patches.
        strides: Step from patch to patch.
        sr_ratios: How much smaller the map for keys and values is.
        out_indices: The stages, from 0, whose maps are given, in the stages' order.
        mlp_ratio: Channels inside of feed-forward networks, as a multiple of the stage's.
        qkv_bias: Whether the projections of the attention have biases.
        drop_rate: Share of elements that is dropped after projections in training.
        attn_drop_rate: Share of the attention weights that is dropped in training.
        drop_path_rate: Share of samples whose branch the last layer drops in training; it rises in
            equal steps from 0 at the first.
        act_cfg: See `build_activation_layer`.
        norm_cfg: See `build_norm_layer`.
        pretrained: Weights that training loads first; kept as ``pretrained``, never loaded here.
        init_cfg: See `apply_init_cfg`; by default linear layers are truncated normal of deviation
            0.02 and convolutions Kaiming.
        with_cp: Recompute the layers in the backward pass to save memory.

    Source: Xie et al., SegFormer (2021); MMSegmentation 0.30 ``MixVisionTransformer``, whose
    parameter names it keeps.

    Examples:
        >>> MixVisionTransformer(embed_dims=4, num_layers=[1, 1, 1, 1]).out_channels
        [4, 8, 16, 32]
    """

    @checked
    def __init__(
        self,
        in_channels: Channels = 3,
        embed_dims: Channels = 64,
        num_stages: Annotated[int, Range(1, 16)] = 4,
        num_layers: Counts = (3, 4, 6, 3),
        num_heads: Counts = (1, 2, 4, 8),
        patch_sizes: Kernels = (7, 3, 3, 3),
        strides: Kernels = (4, 2, 2, 2),
        sr_ratios: Kernels = (8, 4, 2, 1),
        out_indices: NonEmpty[Annotated[int, Range(0, 15)]] = (0, 1, 2, 3),
        mlp_ratio: Annotated[int, Range(1, 255)] = 4,
        qkv_bias: bool = True,
        drop_rate: Ratio = 0.0,
        attn_drop_rate: Ratio = 0.0,
        drop_path_rate: Ratio = 0.0,
        act_cfg: Mapping = GELU,
        norm_cfg: Mapping = _LN,
        pretrained: File | None = None,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        _check_lengths(
            num_stages,
            out_indices,
            num_layers=num_layers,
            num_heads=num_heads,
            patch_sizes=patch_sizes,
            strides=strides,
            sr_ratios=sr_ratios,
        )
        self.in_channels = in_channels
        self.out_indices = tuple(sorted(set(out_indices)))
        self.smallest_image = _smallest_image(patch_sizes, strides, sr_ratios)
        rates = iter(drop_path_rates(drop_path_rate, sum(num_layers)))
        widths = [embed_dims * heads for heads in num_heads]
        self.layers = nn.CellList()
        for i, width in enumerate(widths):
            patch_embed = PatchEmbed(
                widths[i - 1] if i else in_channels,
                width,
                patch_sizes[i],
                strides[i],
                padding=patch_sizes[i] // 2,
                norm_cfg=norm_cfg,
            )
            layers = [
                MixLayer(
                    width,
                    num_heads[i],
                    mlp_ratio * width,
                    drop_rate,
                    attn_drop_rate,
                    next(rates),
                    qkv_bias,
                    act_cfg,
                    norm_cfg,
                    sr_ratios[i],
                    with_cp,
                )
                for _ in range(num_layers[i])
            ]
            norm = build_norm_layer(norm_cfg, width)[1]
            self.layers.append(nn.CellList([patch_embed, nn.CellList(layers), norm]))
        self.out_channels = [widths[i] for i in self.out_indices]
        self.pretrained = pretrained
        self.init_cfg = init_cfg
        initialise_transformer(self)

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give the chosen maps of an (n, in_channels, h, w) image."""
        x, maps = image, ()
        for i in range(len(self.layers)):
            stage = self.layers[i]
            tokens, size = stage[0](x)
            for layer in stage[1]:
                tokens = layer(tokens, size)
            x = to_map(stage[2](tokens), size)
            if i in self.out_indices:
                maps = maps + (x,)
        return maps


class MixLayer(nn.Cell):
    """Efficient attention and a feed-forward network with a convolution, each after a norm.

    Args:
        embed_dims: Length of a token.
        num_heads: Number of heads.
        feedforward_channels: Channels inside of the feed-forward network.
        drop_rate: Share of elements that is dropped after projections.
        attn_drop_rate: Share of the attention weights that is dropped.
        drop_path_rate: Share of samples whose branches are dropped.
        qkv_bias: Whether the projections of the attention have biases.
        act_cfg: See `build_activation_layer`.
        norm_cfg: See `build_norm_layer`.
        sr_ratio: How much smaller the map for keys and values is.
        with_cp: Recompute the layer in the backward pass.
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
        act_cfg: Mapping = GELU,
        norm_cfg: Mapping = LN,
        sr_ratio: int = 1,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        path = drop_path_layer(drop_path_rate)
        self.norm1 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.attn = EfficientMultiheadAttention(
            embed_dims, num_heads, attn_drop_rate, drop_rate, path, qkv_bias, norm_cfg, sr_ratio
        )
        self.norm2 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.ffn = MixFFN(embed_dims, feedforward_channels, act_cfg, drop_rate, path)
        if with_cp:
            recompute_without_norms(self)

    def construct(self, x: ms.Tensor, size: tuple[int, int]) -> ms.Tensor:
        """Apply to tokens (n, h w, embed_dims) of a map of `size`."""
        x = self.attn(self.norm1(x), x, size)
        return self.ffn(self.norm2(x), x, size)


class EfficientMultiheadAttention(MultiheadAttention):
    """Attention whose keys and values come from a smaller map.

    Args:
        embed_dims: Length of a token.
        num_heads: Number of heads.
        attn_drop: Share of the attention weights that is dropped in training.
        proj_drop: Share of the result that is dropped in training.
        dropout_layer: The dropout before the shortcut; None for none.
        qkv_bias: Whether the projections have biases.
        norm_cfg: The norm of the smaller map.
        sr_ratio: Factor by which a convolution ``sr`` makes the map smaller; 1: it does not.

    Source: MMSegmentation 0.30 ``EfficientMultiheadAttention``.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
        dropout_layer: Mapping | None = None,
        qkv_bias: bool = True,
        norm_cfg: Mapping = LN,
        sr_ratio: int = 1,
    ) -> None:
        super().__init__(embed_dims, num_heads, attn_drop, proj_drop, dropout_layer, qkv_bias)
        self.sr_ratio = sr_ratio
        if sr_ratio > 1:
            self.sr = build_conv_layer(None, embed_dims, embed_dims, sr_ratio, stride=sr_ratio)
            self.norm = build_norm_layer(norm_cfg, embed_dims)[1]

    def construct(
        self, query: ms.Tensor, identity: ms.Tensor | None, size: tuple[int, int]
    ) -> ms.Tensor:
        """Add the result for tokens (n, h w, embed_dims) of a map of `size` to `identity`.

        Without `identity`, give the result alone.
        """
        if self.sr_ratio == 1:
            out = self.attn(query, query, True)
        else:
            source = self.norm(to_tokens(self.sr(to_map(query, size))))
            out = self.attn(query, source, False)
        out = self.dropout_layer(self.proj_drop(out))
        return out if identity is None else identity + out


class MixFFN(nn.Cell):
    """Feed-forward network with a depthwise 3x3 convolution, which tells pixels their places.

    Args:
        embed_dims: Channels before and after.
        feedforward_channels: Channels inside.
        act_cfg: See `build_activation_layer`.
        ffn_drop: Share of elements that is dropped in training.
        dropout_layer: The dropout before the shortcut; None for none.

    Source: MMSegmentation 0.30 ``MixFFN``.
    """

    def __init__(
        self,
        embed_dims: int,
        feedforward_channels: int,
        act_cfg: Mapping = GELU,
        ffn_drop: float = 0.0,
        dropout_layer: Mapping | None = None,
    ) -> None:
        super().__init__()
        inside = feedforward_channels
        self.layers = nn.SequentialCell(
            [
                build_conv_layer(None, embed_dims, inside, 1),
                build_conv_layer(None, inside, inside, 3, padding=1, groups=inside),
                build_activation_layer(act_cfg),
                dropout(ffn_drop),
                build_conv_layer(None, inside, embed_dims, 1),
                dropout(ffn_drop),
            ]
        )
        self.dropout_layer = before_shortcut(dropout_layer)

    def construct(self, x: ms.Tensor, identity: ms.Tensor, size: tuple[int, int]) -> ms.Tensor:
        """Add the result for tokens (n, h w, embed_dims) of a map of `size` to `identity`."""
        return identity + self.dropout_layer(to_tokens(self.layers(to_map(x, size))))


def _check_lengths(num_stages: int, out_indices: Sequence[int], **of_stages: Sequence) -> None:
    for key, values in of_stages.items():
        if len(values) != num_stages:
            raise UserValueError(
                key=key,
                got=values,
                expected=f'{num_stages} numbers, as many as num_stages',
                who='MixVisionTransformer',
            )
    if max(out_indices) >= num_stages:
        raise UserValueError(
            key='out_indices',
            got=out_indices,
            expected=f'numbers from 0 to {num_stages - 1}, below num_stages',
            who='MixVisionTransformer',
        )


def _smallest_image(
    patch_sizes: Sequence[int], strides: Sequence[int], sr_ratios: Sequence[int]
) -> int:
    """Return the smallest height of an image whose maps the attention can make smaller."""
    for height in count(1):
        size = height
        for patch, stride, ratio in zip(patch_sizes, strides, sr_ratios, strict=True):
            size = (size + patch // 2 * 2 - patch) // stride + 1
            if size < ratio:
                break
        else:
            return height
