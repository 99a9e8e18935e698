"""PoolFormer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated

import mindspore as ms
from mindspore import Parameter, nn, ops

from msseg.models.backbones.stages import read_arch, read_out_indices, smallest_side
from msseg.models.builder import BACKBONES
from msseg.models.layers import (
    SameAvgPool2d,
    apply_init_cfg,
    build_activation_layer,
    build_conv_layer,
    build_norm_layer,
    drop_path_rates,
    freeze_parameters,
    freeze_statistics,
)
from msseg.models.layers.dropout import Ratio, freeze_dropouts
from msseg.models.layers.transformer import GELU, before_shortcut, drop_path_layer, dropout
from msseg.utils.arguments import (
    Channels,
    NonEmpty,
    NonNegative,
    Positive,
    PositiveInt,
    Range,
    checked,
)
from msseg.utils.errors import ArgumentError

_GN: Mapping = MappingProxyType({'type': 'GN', 'num_groups': 1})
_HINTS = {
    'layers': NonEmpty[PositiveInt],
    'embed_dims': NonEmpty[Channels],
    'mlp_ratios': NonEmpty[Positive],
    'layer_scale_init_value': NonNegative,
}
_DEFAULTS = {'mlp_ratios': (4, 4, 4, 4), 'layer_scale_init_value': 1e-5}
_SMALL, _MEDIUM = (64, 128, 320, 512), (96, 192, 384, 768)
Window = Annotated[int, Range(1, 255)]
Padding = Annotated[int, Range(0, 255)]
Index = Annotated[int, Range(-31, 30)]


@BACKBONES.register_module(['PoolFormer', 'mmcls.PoolFormer'])
class PoolFormer(nn.Cell):
    """PoolFormer: the maps of the chosen stages.

    Args:
        arch: ``'s12'``, ``'s24'``, ``'s36'``, ``'m36'`` or ``'m48'``; or a dict of ``layers``, the
            blocks of each stage, ``embed_dims``, the channels of each stage, ``mlp_ratios``
            (``(4, 4, 4, 4)``), the channels inside of its feed-forward networks as a multiple, and
            ``layer_scale_init_value`` (1e-5), the first value of the trained factors of channels.
        pool_size: Height and width of the windows that blocks average over, an odd number.
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`.
        in_patch_size: Height and width of the patches of the image.
        in_stride: Step from patch to patch.
        in_pad: Zero pixels around the image.
        down_patch_size: Height and width of the patches between stages.
        down_stride: Step from patch to patch there.
        down_pad: Zero pixels around the map there.
        drop_rate: Share of elements that is dropped after 1x1 convolutions in training.
        drop_path_rate: Share of samples whose branches the last block drops in training; it rises
            in equal steps from 0 at the first.
        out_indices: The places, from 0, whose maps are given, in their order: with four stages, 0,
            2, 4 and 6 are the stages and 1, 3 and 5 the steps between them; negative numbers count
            from the end. Stages of equal channels have no step between them.
        frozen_stages: So many places are not trained and drop nothing. From 0 on, the first patches
            are not trained, either: -1 trains all.
        init_cfg: See `apply_init_cfg`; by default as PyTorch initialises layers.
        in_channels: Channels of the image; an argument of msseg.

    Source: Yu et al., MetaFormer is Actually What You Need for Vision (2022); mmcls 0.25
        ``PoolFormer``, whose parameter names it keeps.

    Examples:
        >>> net = PoolFormer(dict(layers=[1, 1], embed_dims=[4, 8], mlp_ratios=[2, 2]),
        ...                  out_indices=(0, 2)).set_train(False)
        >>> [m.shape for m in net(ms.ops.ones((1, 3, 32, 64)))]
        [(1, 4, 8, 16), (1, 8, 4, 8)]
    """

    arch_settings: Mapping = MappingProxyType(
        {
            's12': {'layers': (2, 2, 6, 2), 'embed_dims': _SMALL},
            's24': {'layers': (4, 4, 12, 4), 'embed_dims': _SMALL},
            's36': {
                'layers': (6, 6, 18, 6),
                'embed_dims': _SMALL,
                'layer_scale_init_value': 1e-6,
            },
            'm36': {
                'layers': (6, 6, 18, 6),
                'embed_dims': _MEDIUM,
                'layer_scale_init_value': 1e-6,
            },
            'm48': {
                'layers': (8, 8, 24, 8),
                'embed_dims': _MEDIUM,
                'layer_scale_init_value': 1e-6,
            },
        }
    )

    @checked
    def __init__(
        self,
        arch: str | Mapping = 's12',
        pool_size: Window = 3,
        norm_cfg: Mapping = _GN,
        act_cfg: Mapping = GELU,
        in_patch_size: Window = 7,
        in_stride: Window = 4,
        in_pad: Padding = 2,
        down_patch_size: Window = 3,
        down_stride: Window = 2,
        down_pad: Padding = 1,
        drop_rate: Ratio = 0.0,
        drop_path_rate: Ratio = 0.0,
        out_indices: Index | NonEmpty[Index] = -1,
        frozen_stages: Annotated[int, Range(-1, 31)] = 0,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
        in_channels: Channels = 3,
    ) -> None:
        super().__init__()
        if pool_size % 2 == 0:
            raise ArgumentError(
                key='pool_size', got=pool_size, expected='an odd number', who='PoolFormer'
            )
        settings = read_arch(arch, self.arch_settings, _HINTS, _DEFAULTS, 'PoolFormer')
        layers, widths = settings['layers'], settings['embed_dims']
        self.in_channels = in_channels
        self.patch_embed = PatchEmbed(in_patch_size, in_stride, in_pad, in_channels, widths[0])
        rates = iter(drop_path_rates(drop_path_rate, sum(layers)))
        places: list[nn.Cell] = []
        channels: list[int] = []
        windows = [(in_patch_size, in_stride, in_pad)]
        for i, width in enumerate(widths):
            if i and widths[i - 1] != width:
                windows.append((down_patch_size, down_stride, down_pad))
                places.append(PatchEmbed(*windows[-1], widths[i - 1], width))
                channels.append(width)
            blocks = [
                PoolFormerBlock(
                    width,
                    pool_size,
                    settings['mlp_ratios'][i],
                    norm_cfg,
                    act_cfg,
                    drop_rate,
                    next(rates),
                    settings['layer_scale_init_value'],
                )
                for _ in range(layers[i])
            ]
            places.append(nn.SequentialCell(blocks))
            channels.append(width)
        self.network = nn.CellList(places)
        self.smallest_image = smallest_side(windows)
        self.out_indices = read_out_indices(out_indices, len(places), 'PoolFormer')
        self.out_channels = [channels[i] for i in self.out_indices]
        for i in self.out_indices:
            setattr(self, f'norm{i}', build_norm_layer(norm_cfg, channels[i])[1])
        self.init_cfg = init_cfg
        apply_init_cfg(self, dict(type='PyTorchDefault', layer='Conv2d'))
        self._freeze(frozen_stages)

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give the chosen maps of an (n, in_channels, h, w) image."""
        x, maps = self.patch_embed(image), ()
        for i in range(len(self.network)):
            x = self.network[i](x)
            if i in self.out_indices:
                maps = maps + (getattr(self, f'norm{i}')(x),)
        return maps

    def _freeze(self, frozen_stages: int) -> None:
        if frozen_stages > len(self.network):
            expected = f'at most the {len(self.network)} stages and steps between them'
            raise ArgumentError(
                key='frozen_stages', got=frozen_stages, expected=expected, who='PoolFormer'
            )
        frozen = [self.patch_embed] if frozen_stages >= 0 else []
        for i in range(frozen_stages):
            frozen.append(self.network[i])
            if i in self.out_indices:
                frozen.append(getattr(self, f'norm{i}'))
        for cell in frozen:
            freeze_parameters(cell)
            freeze_statistics(cell)
            freeze_dropouts(cell)


class PatchEmbed(nn.Cell):
    """Patches of a map by a strided convolution ``proj``.

    Args:
        patch_size: Height and width of a patch.
        stride: Step from patch to patch.
        padding: Zero pixels around the map.
        in_channels: Channels of the map.
        embed_dim: Channels of the result.
    """

    def __init__(
        self, patch_size: int, stride: int, padding: int, in_channels: int, embed_dim: int
    ) -> None:
        super().__init__()
        self.proj = build_conv_layer(
            None, in_channels, embed_dim, patch_size, stride=stride, padding=padding
        )

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply to (n, c, h, w)."""
        return self.proj(x)


class PoolFormerBlock(nn.Cell):
    """Differences to the average around a pixel, and a feed-forward network, with shortcuts.

    Args:
        dim: Channels.
        pool_size: Height and width of the windows.
        mlp_ratio: Channels inside of the feed-forward network, as a multiple.
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`.
        drop: Share of elements that is dropped after 1x1 convolutions.
        drop_path: Share of samples whose branches are dropped.
        layer_scale_init_value: First value of the factors of each branch's channels.
    """

    def __init__(
        self,
        dim: int,
        pool_size: int = 3,
        mlp_ratio: float = 4.0,
        norm_cfg: Mapping = _GN,
        act_cfg: Mapping = GELU,
        drop: float = 0.0,
        drop_path: float = 0.0,
        layer_scale_init_value: float = 1e-5,
    ) -> None:
        super().__init__()
        self.norm1 = build_norm_layer(norm_cfg, dim)[1]
        self.pool = SameAvgPool2d(pool_size)
        self.norm2 = build_norm_layer(norm_cfg, dim)[1]
        self.mlp = Mlp(dim, int(dim * mlp_ratio), act_cfg, drop)
        self.drop_path = before_shortcut(drop_path_layer(drop_path))
        for name in ('layer_scale_1', 'layer_scale_2'):
            value = ops.full((dim,), layer_scale_init_value, dtype=ms.float32)
            setattr(self, name, Parameter(value, name))

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply to (n, dim, h, w)."""
        y = self.norm1(x)
        x = x + self.drop_path(self.layer_scale_1.reshape(1, -1, 1, 1) * (self.pool(y) - y))
        return x + self.drop_path(self.layer_scale_2.reshape(1, -1, 1, 1) * self.mlp(self.norm2(x)))


class Mlp(nn.Cell):
    """Two 1x1 convolutions with an activation between them.

    Args:
        channels: Channels before and after.
        hidden_channels: Channels between.
        act_cfg: See `build_activation_layer`.
        drop: Share of elements that is dropped after each in training.
    """

    def __init__(
        self, channels: int, hidden_channels: int, act_cfg: Mapping = GELU, drop: float = 0.0
    ) -> None:
        super().__init__()
        self.fc1 = build_conv_layer(None, channels, hidden_channels, 1)
        self.act = build_activation_layer(act_cfg)
        self.fc2 = build_conv_layer(None, hidden_channels, channels, 1)
        self.drop1, self.drop2 = dropout(drop), dropout(drop)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply to (n, channels, h, w)."""
        return self.drop2(self.fc2(self.drop1(self.act(self.fc1(x)))))
