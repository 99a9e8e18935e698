"""MSCAN: SegNeXt's backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any

import mindspore as ms
from mindspore import Parameter, nn, ops

from msseg.models.builder import BACKBONES
from msseg.models.layers import (
    Conv2d,
    build_activation_layer,
    build_norm_layer,
    drop_path_rates,
    initialise_transformer,
)
from msseg.models.layers.dropout import Ratio
from msseg.models.layers.norm import LayerNorm2d
from msseg.models.layers.transformer import GELU, before_shortcut, drop_path_layer, dropout
from msseg.utils.arguments import Channels, File, NonEmpty, PositiveInt, Range, checked
from msseg.utils.errors import UserValueError

Side = Annotated[int, Range(1, 255)]
Border = Annotated[int, Range(0, 127)]
_SYNC_BN: Mapping = MappingProxyType({'type': 'SyncBN', 'requires_grad': True})
_FIRST_SCALE = 1e-2
_NUM_STRIPS = 3


@BACKBONES.register_module()
class MSCAN(nn.Cell):
    """Multi-scale convolutional attention network: the maps of all stages.

    The first has a quarter of the image's size, each later one half of that before, rounded up.

    Args:
        in_channels: Channels of the image.
        embed_dims: Channels of each stage. This list and the other two may be longer than
            `num_stages`.
        mlp_ratios: Channels inside of each stage's feed-forward networks, as a multiple.
        drop_rate: Share of elements that feed-forward networks drop in training.
        drop_path_rate: Share of samples whose branches the last block drops in training; it rises
            in equal steps from 0 at the first.
        depths: Blocks of each stage.
        num_stages: Number of stages.
        attention_kernel_sizes: Kernels of the attention: that of the first convolution, then
            (height, width) of three strips. A strip is applied, and then its transpose.
        attention_kernel_paddings: Zero pixels on each side for these kernels, which must keep the
            size.
        act_cfg: See `build_activation_layer`; that of the first convolutions is GELU in any case.
        norm_cfg: See `build_norm_layer`; the norms of the results are ``LN`` in any case.
        pretrained: Weights that training loads first; kept as ``pretrained``, never loaded here.
        init_cfg: See `apply_init_cfg`; by default convolutions are Kaiming.

    Source: Guo et al., SegNeXt: Rethinking Convolutional Attention Design for Semantic Segmentation
        (2022); MMSegmentation 1.2 ``MSCAN``, whose parameter names it keeps. There images have 3
        channels, whatever `in_channels` is.

    Examples:
        >>> net = MSCAN(embed_dims=[4, 8], depths=[1, 1], num_stages=2, norm_cfg=dict(type='BN'))
        >>> [m.shape for m in net.set_train(False)(ms.ops.ones((1, 3, 32, 60)))]
        [(1, 4, 8, 15), (1, 8, 4, 8)]
    """

    @checked
    def __init__(
        self,
        in_channels: Channels = 3,
        embed_dims: NonEmpty[Channels] = (64, 128, 256, 512),
        mlp_ratios: NonEmpty[Annotated[float, Range(0, 255, above=True)]] = (4, 4, 4, 4),
        drop_rate: Ratio = 0.0,
        drop_path_rate: Ratio = 0.0,
        depths: NonEmpty[PositiveInt] = (3, 4, 6, 3),
        num_stages: Annotated[int, Range(1, 16)] = 4,
        attention_kernel_sizes: NonEmpty[Side | tuple[Side, Side]] = (5, (1, 7), (1, 11), (1, 21)),
        attention_kernel_paddings: NonEmpty[Border | tuple[Border, Border]] = (
            2,
            (0, 3),
            (0, 5),
            (0, 10),
        ),
        act_cfg: Mapping = GELU,
        norm_cfg: Mapping = _SYNC_BN,
        pretrained: File | None = None,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
    ) -> None:
        super().__init__()
        _check_lengths(num_stages, embed_dims=embed_dims, mlp_ratios=mlp_ratios, depths=depths)
        kernels = _read_kernels(attention_kernel_sizes, attention_kernel_paddings)
        rates = iter(drop_path_rates(drop_path_rate, sum(depths)))
        self.num_stages = num_stages
        self.in_channels = in_channels
        self.out_channels = list(embed_dims[:num_stages])
        for i, width in enumerate(self.out_channels):
            embed = (
                OverlapPatchEmbed(embed_dims[i - 1], width, norm_cfg)
                if i
                else StemConv(in_channels, width, norm_cfg)
            )
            hidden = int(width * mlp_ratios[i])
            blocks = [
                MSCABlock(width, hidden, kernels, drop_rate, next(rates), act_cfg, norm_cfg)
                for _ in range(depths[i])
            ]
            setattr(self, f'patch_embed{i + 1}', embed)
            setattr(self, f'block{i + 1}', nn.SequentialCell(blocks))
            setattr(self, f'norm{i + 1}', LayerNorm2d(width))
        self.pretrained = pretrained
        self.init_cfg = init_cfg
        initialise_transformer(self)

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give the maps of an (n, in_channels, h, w) image."""
        x, maps = image, ()
        for i in range(1, self.num_stages + 1):
            x = getattr(self, f'block{i}')(getattr(self, f'patch_embed{i}')(x))
            x = getattr(self, f'norm{i}')(x)
            maps = maps + (x,)
        return maps


class StemConv(nn.Cell):
    """Two 3x3 convolutions ``proj``, each of step 2 and with a norm.

    Args:
        in_channels: Channels of the image.
        out_channels: Channels of the result; the first convolution has half as many.
        norm_cfg: See `build_norm_layer`.
    """

    def __init__(self, in_channels: int, out_channels: int, norm_cfg: Mapping) -> None:
        super().__init__()
        half = out_channels // 2
        self.proj = nn.SequentialCell(
            Conv2d(in_channels, half, 3, stride=2, padding=1),
            build_norm_layer(norm_cfg, half)[1],
            build_activation_layer(GELU),
            Conv2d(half, out_channels, 3, stride=2, padding=1),
            build_norm_layer(norm_cfg, out_channels)[1],
        )

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply to (n, c, h, w)."""
        return self.proj(x)


class OverlapPatchEmbed(nn.Cell):
    """A 3x3 convolution ``proj`` of step 2 with a norm.

    Args:
        in_channels: Channels before.
        embed_dim: Channels after.
        norm_cfg: See `build_norm_layer`.
    """

    def __init__(self, in_channels: int, embed_dim: int, norm_cfg: Mapping) -> None:
        super().__init__()
        self.proj = Conv2d(in_channels, embed_dim, 3, stride=2, padding=1)
        self.norm = build_norm_layer(norm_cfg, embed_dim)[1]

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply to (n, c, h, w)."""
        return self.norm(self.proj(x))


class MSCABlock(nn.Cell):
    """Attention by convolutions and a feed-forward network, each after a norm and with a shortcut.

    Args:
        channels: Channels before and after.
        hidden_channels: Channels inside of the feed-forward network.
        kernels: See `MSCAAttention`.
        drop: Share of elements that the feed-forward network drops in training.
        drop_path: Share of samples whose branches are dropped in training.
        act_cfg: See `build_activation_layer`.
        norm_cfg: See `build_norm_layer`.
    """

    def __init__(
        self,
        channels: int,
        hidden_channels: int,
        kernels: Sequence[dict[str, Any]],
        drop: float,
        drop_path: float,
        act_cfg: Mapping,
        norm_cfg: Mapping,
    ) -> None:
        super().__init__()
        self.norm1 = build_norm_layer(norm_cfg, channels)[1]
        self.attn = MSCASpatialAttention(channels, kernels, act_cfg)
        self.drop_path = before_shortcut(drop_path_layer(drop_path))
        self.norm2 = build_norm_layer(norm_cfg, channels)[1]
        self.mlp = Mlp(channels, hidden_channels, act_cfg, drop)
        for name in ('layer_scale_1', 'layer_scale_2'):
            value = ops.full((channels,), _FIRST_SCALE, dtype=ms.float32)
            setattr(self, name, Parameter(value, name))

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply to (n, channels, h, w)."""
        y = self.attn(self.norm1(x))
        x = x + self.drop_path(self.layer_scale_1.reshape(1, -1, 1, 1) * y)
        y = self.mlp(self.norm2(x))
        return x + self.drop_path(self.layer_scale_2.reshape(1, -1, 1, 1) * y)


class MSCASpatialAttention(nn.Cell):
    """`MSCAAttention` between two 1x1 convolutions, with a shortcut.

    Args:
        channels: Channels before and after.
        kernels: See `MSCAAttention`.
        act_cfg: See `build_activation_layer`.
    """

    def __init__(self, channels: int, kernels: Sequence[dict[str, Any]], act_cfg: Mapping) -> None:
        super().__init__()
        self.proj_1 = Conv2d(channels, channels, 1)
        self.activation = build_activation_layer(act_cfg)
        self.spatial_gating_unit = MSCAAttention(channels, kernels)
        self.proj_2 = Conv2d(channels, channels, 1)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply to (n, channels, h, w)."""
        return self.proj_2(self.spatial_gating_unit(self.activation(self.proj_1(x)))) + x


class MSCAAttention(nn.Cell):
    """Weighs a map by what depthwise convolutions of several sizes see around each pixel.

    Args:
        channels: Channels before and after.
        kernels: ``kernel_size`` and ``padding`` of the first convolution and of three strips.
    """

    def __init__(self, channels: int, kernels: Sequence[dict[str, Any]]) -> None:
        super().__init__()

        def depthwise(kernel: dict[str, Any]) -> nn.Cell:
            return Conv2d(channels, channels, groups=channels, **kernel)

        first, *strips = kernels
        self.conv0 = depthwise(first)
        for i, strip in enumerate(strips):
            setattr(self, f'conv{i}_1', depthwise(strip))
            setattr(self, f'conv{i}_2', depthwise({k: v[::-1] for k, v in strip.items()}))
        self.conv3 = Conv2d(channels, channels, 1)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply to (n, channels, h, w)."""
        near = self.conv0(x)
        weights = near
        for i in range(_NUM_STRIPS):
            weights = weights + getattr(self, f'conv{i}_2')(getattr(self, f'conv{i}_1')(near))
        return self.conv3(weights) * x


class Mlp(nn.Cell):
    """Two 1x1 convolutions with a depthwise one and an activation between them.

    Args:
        channels: Channels before and after.
        hidden_channels: Channels between.
        act_cfg: See `build_activation_layer`.
        drop: Share of elements that is dropped before and after the second in training.
    """

    def __init__(self, channels: int, hidden_channels: int, act_cfg: Mapping, drop: float) -> None:
        super().__init__()
        self.fc1 = Conv2d(channels, hidden_channels, 1)
        self.dwconv = Conv2d(hidden_channels, hidden_channels, 3, padding=1, groups=hidden_channels)
        self.act = build_activation_layer(act_cfg)
        self.fc2 = Conv2d(hidden_channels, channels, 1)
        self.drop1, self.drop2 = dropout(drop), dropout(drop)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply to (n, channels, h, w)."""
        x = self.drop1(self.act(self.dwconv(self.fc1(x))))
        return self.drop2(self.fc2(x))


def _check_lengths(num_stages: int, **of_stages: Sequence) -> None:
    for key, values in of_stages.items():
        if len(values) < num_stages:
            raise UserValueError(
                key=key,
                got=values,
                expected=f'at least {num_stages} numbers, as many as num_stages',
                who='MSCAN',
            )
    if of_stages['embed_dims'][0] < 2:
        raise UserValueError(
            key='embed_dims',
            got=of_stages['embed_dims'],
            expected='at least 2 channels in the first stage, half of which the stem begins with',
            who='MSCAN',
        )


def _read_kernels(sizes: Sequence, paddings: Sequence) -> list[dict[str, tuple[int, int]]]:
    """Return size and padding (height, width) of each kernel of the attention."""
    count = 1 + _NUM_STRIPS
    for key, values in (('sizes', sizes), ('paddings', paddings)):
        if len(values) != count or any(isinstance(strip, int) for strip in values[1:]):
            raise UserValueError(
                key=f'attention_kernel_{key}',
                got=values,
                expected=f'a number and {_NUM_STRIPS} pairs (height, width)',
                who='MSCAN',
            )
    kernels = []
    for size, padding in zip(sizes, paddings, strict=True):
        size, padding = (
            (each, each) if isinstance(each, int) else tuple(each) for each in (size, padding)
        )
        if any(side != 2 * border + 1 for side, border in zip(size, padding, strict=True)):
            raise UserValueError(
                key='attention_kernel_paddings',
                got=paddings,
                expected=f'half of attention_kernel_sizes={sizes!r}, which must be odd, so that '
                'maps keep their size',
                who='MSCAN',
            )
        kernels.append({'kernel_size': size, 'padding': padding})
    return kernels
