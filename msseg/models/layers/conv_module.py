"""Convolution, normalisation and activation in one cell."""

from __future__ import annotations

from collections.abc import Mapping

import mindspore as ms
from mindspore import nn

from msseg.models.layers.activation import RELU, build_activation_layer
from msseg.models.layers.conv import build_conv_layer
from msseg.models.layers.norm import build_norm_layer


class ConvModule(nn.Cell):
    """Convolution ``conv``, then normalisation (``bn``, ``gn``, …), then activation.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Height and width of the kernel.
        stride: Step in pixels.
        padding: Zero pixels added on each side.
        dilation: Distance between the kernel's taps.
        groups: Number of groups of channels.
        bias: Whether the convolution has a bias; ``'auto'``: when no normalisation follows.
        conv_cfg: See `build_conv_layer`.
        norm_cfg: See `build_norm_layer`; None for none.
        act_cfg: See `build_activation_layer`; None for none.

    Source: MMCV 1.7 ``mmcv.cnn.ConvModule``, whose names and initialisation it keeps.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool | str = 'auto',
        conv_cfg: dict | None = None,
        norm_cfg: Mapping | None = None,
        act_cfg: Mapping | None = RELU,
    ) -> None:
        super().__init__()
        has_bias = norm_cfg is None if bias == 'auto' else bool(bias)
        self.conv = build_conv_layer(
            conv_cfg,
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=has_bias,
        )
        self.norm_name = ''
        if norm_cfg is not None:
            self.norm_name, norm = build_norm_layer(norm_cfg, out_channels)
            setattr(self, self.norm_name, norm)
        self.activate = build_activation_layer(act_cfg) if act_cfg is not None else None

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the layers to (n, c, h, w)."""
        x = self.conv(x)
        if self.norm_name:
            x = getattr(self, self.norm_name)(x)
        if self.activate is not None:
            x = self.activate(x)
        return x
