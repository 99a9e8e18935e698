"""Inverted residual block of MobileNetV2, and the rounding of channels."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import mindspore as ms
from mindspore import nn

from msseg.models.layers import ConvModule
from msseg.models.layers.norm import BN
from msseg.models.layers.res_block import recompute_without_norms

RELU6: Mapping = MappingProxyType({'type': 'ReLU6'})


def make_divisible(value: float, divisor: int) -> int:
    """Round a number of channels to a multiple of `divisor`, and up if it would lose over 10 %.

    Source: Howard et al., MobileNets, as TensorFlow's code rounds.

    Examples:
        >>> make_divisible(22.4, 8), make_divisible(10, 8), make_divisible(3, 8)
        (24, 16, 8)
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


class InvertedResidual(nn.Cell):
    """1x1 convolution to more channels, depthwise 3x3, and a linear 1x1 to fewer channels.

    Input and output are added where they have the same shape.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Step of the depthwise convolution.
        expand_ratio: Factor of channels inside; 1 leaves out the first convolution.
        dilation: Distance between the taps of the depthwise convolution.
        conv_cfg: See `build_conv_layer`.
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`.
        with_cp: Recompute the block in the backward pass, to save memory.

    Source: Sandler et al., MobileNetV2 (2018), section 3.3; names of MMSegmentation 0.30.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        expand_ratio: float,
        dilation: int = 1,
        conv_cfg: Mapping | None = None,
        norm_cfg: Mapping = BN,
        act_cfg: Mapping = RELU6,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        self.has_shortcut = stride == 1 and in_channels == out_channels
        width = round(in_channels * expand_ratio)
        options = {'conv_cfg': conv_cfg, 'norm_cfg': norm_cfg}
        layers = []
        if expand_ratio != 1:
            layers.append(ConvModule(in_channels, width, 1, act_cfg=act_cfg, **options))
        depthwise = {'stride': stride, 'padding': dilation, 'dilation': dilation, 'groups': width}
        layers.append(ConvModule(width, width, 3, act_cfg=act_cfg, **depthwise, **options))
        layers.append(ConvModule(width, out_channels, 1, act_cfg=None, **options))
        self.conv = nn.SequentialCell(layers)
        if with_cp:
            recompute_without_norms(self)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the block to (n, c, h, w)."""
        y = self.conv(x)
        return x + y if self.has_shortcut else y
