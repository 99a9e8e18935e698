"""ConvNeXt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated

import mindspore as ms
from mindspore import Parameter, nn, ops

from msseg.models.backbones.stages import read_arch, read_out_indices
from msseg.models.builder import BACKBONES
from msseg.models.layers import (
    apply_init_cfg,
    build_activation_layer,
    build_conv_layer,
    build_norm_layer,
    drop_path_rates,
    freeze_parameters,
    freeze_statistics,
    recompute_without_norms,
    to_map,
    to_tokens,
)
from msseg.models.layers.dropout import Ratio, freeze_dropouts
from msseg.models.layers.layer_depth import layer_depth_of_convnext, stage_depth_of_convnext
from msseg.models.layers.norm import LayerNorm2d
from msseg.models.layers.transformer import GELU, before_shortcut, drop_path_layer
from msseg.utils.arguments import Channels, NonEmpty, NonNegative, PositiveInt, Range, checked
from msseg.utils.errors import ArgumentError

_LN: Mapping = MappingProxyType({'type': 'LN2d', 'eps': 1e-6})
_DOWNSAMPLE_LN: Mapping = MappingProxyType({'type': 'LN2d', 'eps': 1e-5})
_HINTS = {'depths': NonEmpty[PositiveInt], 'channels': NonEmpty[Channels]}
Index = Annotated[int, Range(-16, 15)]


@BACKBONES.register_module(['ConvNeXt', 'mmcls.ConvNeXt'])
class ConvNeXt(nn.Cell):
    """ConvNeXt: the maps of the chosen stages.

    Args:
        arch: ``'tiny'``, ``'small'``, ``'base'``, ``'large'`` or ``'xlarge'``; or a dict of
            ``depths``, the blocks of each stage, and ``channels``, those of each stage.
        in_channels: Channels of the image.
        stem_patch_size: Height and width of the patches that the first convolution reads, and its
            step.
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`.
        linear_pw_conv: Whether 1x1 convolutions are linear layers: the same result, of weights of
            two axes instead of four.
        drop_path_rate: Share of samples whose branch the last block drops in training; it rises in
            equal steps from 0 at the first.
        layer_scale_init_value: First value of the trained factors of each branch's channels; 0 for
            no factors.
        out_indices: The stages, from 0, whose maps are given, in the stages' order; negative
            numbers count from the end.
        frozen_stages: So many stages, with the layers that lead to them, are not trained and drop
            nothing.
        gap_before_final_norm: Whether maps are averaged before the last norms, to (n, c). That is
            for classification; heads of segmentors take maps and need False.
        with_cp: Recompute the blocks in the backward pass to save memory.
        init_cfg: See `apply_init_cfg`; by default as PyTorch initialises layers.
        downsample_norm_cfg: The norms before the convolutions that halve maps. By default they are
            those of mmcls; weights of the authors, timm and Hugging Face were trained with
            ``dict(type='LN2d', eps=1e-6)``.

    Source: Liu et al., A ConvNet for the 2020s (2022); mmcls 0.25 ``ConvNeXt``, whose parameter
    names it keeps.

    Examples:
        >>> arch = dict(depths=[1, 1], channels=[4, 8])
        >>> net = ConvNeXt(arch, out_indices=(0, 1), gap_before_final_norm=False).set_train(False)
        >>> [m.shape for m in net(ms.ops.ones((1, 3, 32, 64)))]
        [(1, 4, 8, 16), (1, 8, 4, 8)]
    """

    layer_depth = staticmethod(layer_depth_of_convnext)
    stage_depth = staticmethod(stage_depth_of_convnext)
    arch_settings: Mapping = MappingProxyType(
        {
            'tiny': {'depths': (3, 3, 9, 3), 'channels': (96, 192, 384, 768)},
            'small': {'depths': (3, 3, 27, 3), 'channels': (96, 192, 384, 768)},
            'base': {'depths': (3, 3, 27, 3), 'channels': (128, 256, 512, 1024)},
            'large': {'depths': (3, 3, 27, 3), 'channels': (192, 384, 768, 1536)},
            'xlarge': {'depths': (3, 3, 27, 3), 'channels': (256, 512, 1024, 2048)},
        }
    )

    @checked
    def __init__(
        self,
        arch: str | Mapping = 'tiny',
        in_channels: Channels = 3,
        stem_patch_size: Annotated[int, Range(1, 255)] = 4,
        norm_cfg: Mapping = _LN,
        act_cfg: Mapping = GELU,
        linear_pw_conv: bool = True,
        drop_path_rate: Ratio = 0.0,
        layer_scale_init_value: NonNegative = 1e-6,
        out_indices: Index | NonEmpty[Index] = -1,
        frozen_stages: Annotated[int, Range(0, 16)] = 0,
        gap_before_final_norm: bool = True,
        with_cp: bool = False,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
        downsample_norm_cfg: Mapping = _DOWNSAMPLE_LN,
    ) -> None:
        super().__init__()
        settings = read_arch(arch, self.arch_settings, _HINTS, {}, 'ConvNeXt')
        depths, widths = settings['depths'], settings['channels']
        self.out_indices = read_out_indices(out_indices, len(depths), 'ConvNeXt')
        if frozen_stages > len(depths):
            expected = f'at most the {len(depths)} stages'
            raise ArgumentError(
                key='frozen_stages', got=frozen_stages, expected=expected, who='ConvNeXt'
            )
        self.in_channels = in_channels
        self.smallest_image = stem_patch_size * 2 ** (len(depths) - 1)
        self.out_channels = [widths[i] for i in self.out_indices]
        self.gap_before_final_norm = gap_before_final_norm
        if gap_before_final_norm:
            self.no_maps_reason = 'gap_before_final_norm=True averages its maps; set it to False'
        rates = iter(drop_path_rates(drop_path_rate, sum(depths)))
        steps, stages = [], []
        for i, width in enumerate(widths):
            steps.append(
                _downsample(widths[i - 1], width, downsample_norm_cfg)
                if i
                else _stem(in_channels, width, stem_patch_size, norm_cfg)
            )
            blocks = [
                ConvNeXtBlock(
                    width,
                    norm_cfg,
                    act_cfg,
                    linear_pw_conv=linear_pw_conv,
                    drop_path_rate=next(rates),
                    layer_scale_init_value=layer_scale_init_value,
                    with_cp=with_cp,
                )
                for _ in range(depths[i])
            ]
            stages.append(nn.SequentialCell(blocks))
        self.downsample_layers, self.stages = nn.CellList(steps), nn.CellList(stages)
        for i in self.out_indices:
            setattr(self, f'norm{i}', build_norm_layer(norm_cfg, widths[i])[1])
        self.mean = ops.ReduceMean(keep_dims=True)
        self.init_cfg = init_cfg
        apply_init_cfg(self, dict(type='PyTorchDefault', layer=['Conv2d', 'Linear']))
        for i in range(frozen_stages):
            for cell in (self.downsample_layers[i], self.stages[i]):
                freeze_parameters(cell)
                freeze_statistics(cell)
                freeze_dropouts(cell)

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give the chosen maps of an (n, in_channels, h, w) image, or their averages (n, c)."""
        x, maps = image, ()
        for i in range(len(self.stages)):
            x = self.stages[i](self.downsample_layers[i](x))
            if i in self.out_indices:
                norm = getattr(self, f'norm{i}')
                if self.gap_before_final_norm:
                    out = norm(self.mean(x, (2, 3))).reshape(x.shape[:2])
                else:
                    out = norm(x)
                maps = maps + (out,)
        return maps


class ConvNeXtBlock(nn.Cell):
    """A depthwise 7x7 convolution, a norm, two 1x1 convolutions, and a shortcut.

    Args:
        in_channels: Channels before and after.
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`.
        mlp_ratio: Channels between the 1x1 convolutions, as a multiple.
        linear_pw_conv: Whether they are linear layers.
        drop_path_rate: Share of samples whose branch is dropped.
        layer_scale_init_value: First value of the channels' factors ``gamma``; 0 for none.
        with_cp: Recompute the block in the backward pass.
    """

    def __init__(
        self,
        in_channels: int,
        norm_cfg: Mapping = _LN,
        act_cfg: Mapping = GELU,
        mlp_ratio: float = 4.0,
        linear_pw_conv: bool = True,
        drop_path_rate: float = 0.0,
        layer_scale_init_value: float = 1e-6,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        width = int(mlp_ratio * in_channels)
        self.depthwise_conv = build_conv_layer(
            None, in_channels, in_channels, 7, padding=3, groups=in_channels
        )
        self.norm = build_norm_layer(norm_cfg, in_channels)[1]
        self.is_linear = linear_pw_conv
        self.norm_is_last = linear_pw_conv and isinstance(self.norm, LayerNorm2d)
        if self.norm_is_last:
            self.norm.channels_last = True  # one transposition instead of three
        if linear_pw_conv:
            self.pointwise_conv1 = nn.Dense(in_channels, width)
            self.pointwise_conv2 = nn.Dense(width, in_channels)
        else:
            self.pointwise_conv1 = build_conv_layer(None, in_channels, width, 1)
            self.pointwise_conv2 = build_conv_layer(None, width, in_channels, 1)
        self.act = build_activation_layer(act_cfg)
        self.gamma = None
        if layer_scale_init_value > 0:
            value = ops.full((in_channels,), layer_scale_init_value, dtype=ms.float32)
            self.gamma = Parameter(value, 'gamma')
        self.drop_path = before_shortcut(drop_path_layer(drop_path_rate))
        if with_cp:
            recompute_without_norms(self)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply to (n, c, h, w)."""
        y = self.depthwise_conv(x)
        if self.norm_is_last:
            y = self.norm(to_tokens(y))
        elif self.is_linear:
            y = to_tokens(self.norm(y))
        else:
            y = self.norm(y)
        y = self.pointwise_conv2(self.act(self.pointwise_conv1(y)))
        if self.is_linear:
            y = y if self.gamma is None else y * self.gamma
            y = to_map(y, x.shape[2:])
        elif self.gamma is not None:
            y = y * self.gamma.reshape(1, -1, 1, 1)
        return x + self.drop_path(y)


def _stem(in_channels: int, channels: int, patch_size: int, norm_cfg: Mapping) -> nn.Cell:
    return nn.SequentialCell(
        [
            build_conv_layer(None, in_channels, channels, patch_size, stride=patch_size),
            build_norm_layer(norm_cfg, channels)[1],
        ]
    )


def _downsample(in_channels: int, channels: int, norm_cfg: Mapping) -> nn.Cell:
    return nn.SequentialCell(
        [
            build_norm_layer(norm_cfg, in_channels)[1],
            build_conv_layer(None, in_channels, channels, 2, stride=2),
        ]
    )
