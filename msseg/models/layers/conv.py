"""The convolution of every model here, with PyTorch's argument names."""

from __future__ import annotations

from mindspore import nn
from mindspore.common.initializer import HeNormal

from msseg.utils.suggest import did_you_mean


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
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            pad_mode='pad',
            padding=padding,
            dilation=dilation,
            group=groups,
            has_bias=bias,
            weight_init=HeNormal(negative_slope=0, mode='fan_out', nonlinearity='relu'),
            bias_init='zeros',
        )


_CONVS = {'Conv2d': Conv2d, 'Conv': Conv2d}


def build_conv_layer(
    conv_cfg: dict | None,
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
    bias: bool = True,
) -> nn.Cell:
    """Build the convolution that a ``conv_cfg`` names; None means ``Conv2d``.

    Args:
        conv_cfg: None or ``dict(type='Conv2d')``; ``type`` may be a class that takes the
            arguments of `Conv2d`. Further keys are passed on to it.
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
    options = dict(conv_cfg or {'type': 'Conv2d'})
    kind = options.pop('type', 'Conv2d')
    if isinstance(kind, str) and kind not in _CONVS:
        raise KeyError(
            f'conv_cfg: unknown type {kind!r}, expected one of {sorted(_CONVS)} or a class.'
            f'{did_you_mean(kind, _CONVS)}'
        )
    layer = _CONVS[kind] if isinstance(kind, str) else kind
    return layer(
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, **options
    )
