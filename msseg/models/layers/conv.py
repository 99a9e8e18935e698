"""The convolution of every model here, with PyTorch's argument names."""

from __future__ import annotations

from mindspore import nn
from mindspore.common.initializer import HeNormal

from msseg.registry import Registry, build_from_cfg
from msseg.utils.upstream import check_cell

CONV_LAYERS = Registry('convolution layer', check_cell)


class Conv2d(nn.Conv2d):
    """2-D convolution, initialised as MMCV's Kaiming: normal, fan out, ReLU's gain; bias 0.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Height and width of the kernel.
        stride: Step in pixels.
        padding: Zero pixels added on each side.
        dilation: Distance between the kernel's taps.
        groups: Number of groups of channels.
        bias: Whether to add a bias.
        pad_mode: ``'pad'``, or ``'same'`` for an output of ``ceil(size / stride)``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        pad_mode: str = 'pad',
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            pad_mode=pad_mode,
            padding=padding,
            dilation=dilation,
            group=groups,
            has_bias=bias,
            weight_init=HeNormal(negative_slope=0, mode='fan_out', nonlinearity='relu'),
            bias_init='zeros',
        )


@CONV_LAYERS.register_module()
class Conv2dAdaptivePadding(Conv2d):
    """Convolution whose output is ``ceil(size / stride)`` large, as TensorFlow's "same".

    Zeros are added where the stride does not divide the size: half of them before, half, and the
    odd one, behind. `padding` has no effect.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Height and width of the kernel.
        stride: Step in pixels.
        padding: Ignored, as upstream.
        dilation: Distance between the kernel's taps.
        groups: Number of groups of channels.
        bias: Whether to add a bias.

    Source: MMCV 1.7 ``Conv2dAdaptivePadding``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, 0, dilation, groups, bias, 'same'
        )


CONV_LAYERS.register_module(['Conv2d', 'Conv'], module=Conv2d)


def build_conv_layer(
    conv_cfg: dict | None,
    in_channels: int,
    out_channels: int,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
    padding: int = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    bias: bool = True,
) -> nn.Cell:
    """Build the convolution that a ``conv_cfg`` names; None means ``Conv2d``.

    Args:
        conv_cfg: None or such as ``dict(type='Conv2d')``, with a name in `CONV_LAYERS` or a class
            that takes the arguments of `Conv2d`. Further keys are passed on to it.
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Height and width of the kernel.
        stride: Step in pixels.
        padding: Zero pixels added on each side.
        dilation: Distance between the kernel's taps.
        groups: Number of groups of channels.
        bias: Whether to add a bias.

    Raises:
        KeyError: An unknown ``type``.
    """
    arguments = {
        'type': 'Conv2d',
        'in_channels': in_channels,
        'out_channels': out_channels,
        'kernel_size': kernel_size,
        'stride': stride,
        'padding': padding,
        'dilation': dilation,
        'groups': groups,
        'bias': bias,
    }
    return build_from_cfg({} if conv_cfg is None else conv_cfg, CONV_LAYERS, arguments)
