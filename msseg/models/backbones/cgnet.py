"""CGNet: a light backbone of context guided blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import BACKBONES
from msseg.models.layers import (
    AvgPool2d,
    ConvModule,
    apply_init_cfg,
    build_activation_layer,
    build_conv_layer,
    build_norm_layer,
    freeze_statistics,
)
from msseg.models.layers.norm import BN
from msseg.models.layers.res_block import recompute_without_norms
from msseg.utils.arguments import Channels, File, Length, Range, checked
from msseg.utils.errors import UserValueError

PRELU: Mapping = MappingProxyType({'type': 'PReLU'})
_INIT = [
    {'type': 'Kaiming', 'layer': ['Conv2d', 'Linear']},
    {'type': 'Constant', 'val': 0, 'layer': 'PReLU'},
]
Small = Annotated[int, Range(1, 255)]


@BACKBONES.register_module()
class CGNet(nn.Cell):
    """CGNet: three feature maps, of 1/2, 1/4 and 1/8 of the image's size.

    Args:
        in_channels: Channels of the image.
        num_channels: Channels of the stem and of the two stages; those of the stages are even.
        num_blocks: Number of blocks of each stage.
        dilations: Dilation of the surrounding context of each stage.
        reductions: Divisor of the channels in the global context of each stage.
        conv_cfg: See `build_conv_layer`.
        norm_cfg: See `build_norm_layer`; the configs give ``eps=0.001``.
        act_cfg: See `build_activation_layer`; ``PReLU`` has a slope for each channel.
        norm_eval: Whether batch norm uses its running statistics in training.
        with_cp: Recompute the blocks in the backward pass, to save memory.
        pretrained: Weights that training loads first; kept as ``pretrained``, never loaded here.
        init_cfg: See `apply_init_cfg`; by default Kaiming for convolutions and linear layers, 1 and
            0 for norms, 0 for PReLU's slopes.

    Raises:
        ValueError: More `reductions` than channels, or an odd number of channels.

    Source: Wu et al., CGNet: A Light-weight Context Guided Network (2018); MMSegmentation 0.30
    ``CGNet``, whose parameter names it keeps.

    Examples:
        >>> CGNet(num_channels=(8, 16, 32), num_blocks=(1, 1)).out_channels
        [11, 35, 64]
    """

    @checked
    def __init__(
        self,
        in_channels: Channels = 3,
        num_channels: Annotated[Sequence[Channels], Length(3, 3)] = (32, 64, 128),
        num_blocks: Annotated[Sequence[Small], Length(2, 2)] = (3, 21),
        dilations: Annotated[Sequence[Small], Length(2, 2)] = (2, 4),
        reductions: Annotated[Sequence[Channels], Length(2, 2)] = (8, 16),
        conv_cfg: Mapping | None = None,
        norm_cfg: Mapping = BN,
        act_cfg: Mapping = PRELU,
        norm_eval: bool = False,
        with_cp: bool = False,
        pretrained: File | None = None,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
    ) -> None:
        super().__init__()
        _check(num_channels, reductions)
        self.in_channels = in_channels
        self.init_cfg = init_cfg
        self.pretrained = pretrained
        options = {'conv_cfg': conv_cfg, 'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        width, *widths = num_channels
        steps = ((in_channels, 2), (width, 1), (width, 1))
        self.stem = nn.CellList(
            [_conv_module(channels, width, 3, stride, **options) for channels, stride in steps]
        )
        self.inject_2x = InputInjection(in_channels, 1)
        self.inject_4x = InputInjection(in_channels, 2)
        before = width + in_channels
        self.norm_prelu_0 = _norm_prelu(norm_cfg, before)
        self.out_channels = [before]
        for i, after in enumerate(widths):
            stage = [before] + [after] * (num_blocks[i] - 1)
            blocks = [
                ContextGuidedBlock(
                    channels,
                    after,
                    dilations[i],
                    reductions[i],
                    downsample=k == 0,
                    with_cp=with_cp,
                    **options,
                )
                for k, channels in enumerate(stage)
            ]
            setattr(self, f'level{i + 1}', nn.CellList(blocks))
            before = 2 * after + (in_channels if i == 0 else 0)
            setattr(self, f'norm_prelu_{i + 1}', _norm_prelu(norm_cfg, before))
            self.out_channels.append(before)
        apply_init_cfg(self, _INIT)
        if norm_eval:
            freeze_statistics(self)

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give the feature maps of an (n, c, h, w) image of any size."""
        x = image
        for layer in self.stem:
            x = layer(x)
        first = self.norm_prelu_0(ops.concat((x, self.inject_2x(image)), axis=1))
        down, x = self._run_stage(self.level1, first)
        x = ops.concat((x, down, self.inject_4x(image)), axis=1)
        second = self.norm_prelu_1(x)
        down, x = self._run_stage(self.level2, second)
        return first, second, self.norm_prelu_2(ops.concat((down, x), axis=1))

    def _run_stage(self, stage: nn.CellList, x: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor]:
        """Return the feature maps after the first and after the last block."""
        down = stage[0](x)
        x = down
        for i in range(1, len(stage)):  # a slice of a CellList renames its parameters
            x = stage[i](x)
        return down, x


class ContextGuidedBlock(nn.Cell):
    """Joins local and surrounding context, and weights the channels by the global context.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        dilation: Dilation of the surrounding context.
        reduction: Divisor of the channels in the global context.
        downsample: Whether to halve the size; otherwise the input is added to the output.
        conv_cfg: See `build_conv_layer`.
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`.
        with_cp: Recompute the block in the backward pass, to save memory.

    Source: as `CGNet`, section 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dilation: int,
        reduction: int,
        downsample: bool,
        conv_cfg: Mapping | None,
        norm_cfg: Mapping,
        act_cfg: Mapping,
        with_cp: bool,
    ) -> None:
        super().__init__()
        width = out_channels if downsample else out_channels // 2
        size, stride = (3, 2) if downsample else (1, 1)
        layers = {'conv_cfg': conv_cfg, 'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        self.conv1x1 = _conv_module(in_channels, width, size, stride, **layers)
        options = {'groups': width, 'bias': False}
        self.f_loc = build_conv_layer(conv_cfg, width, width, 3, padding=1, **options)
        self.f_sur = build_conv_layer(
            conv_cfg, width, width, 3, padding=dilation, dilation=dilation, **options
        )
        self.bn = build_norm_layer(norm_cfg, 2 * width)[1]
        self.activate = build_activation_layer({**PRELU, 'num_parameters': 2 * width})
        self.bottleneck = None
        if downsample:
            self.bottleneck = build_conv_layer(conv_cfg, 2 * width, out_channels, 1, bias=False)
        self.f_glo = GlobalContextExtractor(out_channels, reduction)
        if with_cp:
            recompute_without_norms(self)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the block to (n, c, h, w)."""
        y = self.conv1x1(x)
        y = ops.concat((self.f_loc(y), self.f_sur(y)), axis=1)
        y = self.activate(self.bn(y))
        if self.bottleneck is not None:
            return self.f_glo(self.bottleneck(y))
        return x + self.f_glo(y)


class GlobalContextExtractor(nn.Cell):
    """Weights channels by a function of their means. Source: as `CGNet`, section 3.1."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        width = channels // reduction
        layers = [nn.Dense(channels, width), nn.ReLU(), nn.Dense(width, channels), nn.Sigmoid()]
        self.fc = nn.SequentialCell(layers)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Weight the channels of (n, c, h, w)."""
        n, c = x.shape[:2]
        return x * self.fc(ops.mean(x, (2, 3))).reshape(n, c, 1, 1)


class InputInjection(nn.Cell):
    """Halves the image by means of 3x3 pixels, outside of which it is 0. Source: as `CGNet`."""

    def __init__(self, channels: int, num_downsampling: int) -> None:
        super().__init__()
        self.num_downsampling = num_downsampling
        self.pool = AvgPool2d(channels, 3, 2, 1)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Halve (n, c, h, w) some times, rounding up."""
        for _ in range(self.num_downsampling):
            x = self.pool(x)
        return x


def _conv_module(
    in_channels: int, out_channels: int, size: int, stride: int, act_cfg: Mapping, **layers: Mapping
) -> ConvModule:
    """Build a padded convolution; PReLU has a slope for each channel."""
    if act_cfg.get('type') == 'PReLU':
        act_cfg = {**act_cfg, 'num_parameters': out_channels}
    options = {'stride': stride, 'padding': size // 2, 'act_cfg': act_cfg}
    return ConvModule(in_channels, out_channels, size, **options, **layers)


def _norm_prelu(norm_cfg: Mapping, channels: int) -> nn.SequentialCell:
    activation = build_activation_layer({**PRELU, 'num_parameters': channels})
    return nn.SequentialCell([build_norm_layer(norm_cfg, channels)[1], activation])


def _check(num_channels: Sequence[int], reductions: Sequence[int]) -> None:
    for width, reduction in zip(num_channels[1:], reductions, strict=True):
        for key, got, is_right, expected in (
            ('num_channels', width, width % 2 == 0, 'an even number'),
            ('reductions', reduction, reduction <= width, f'at most the {width} channels'),
        ):
            if not is_right:
                raise UserValueError(key=key, got=got, expected=expected, who='CGNet')
