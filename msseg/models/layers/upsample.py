"""Upsampling layers from ``upsample_cfg``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mindspore as ms
from mindspore import nn
from mindspore.common.initializer import Uniform

from msseg.models.layers.resize import repeat_pixels, resize
from msseg.registry import Registry
from msseg.utils.arguments import Channels, NonNegativeInt, PositiveInt, accepted_arguments, checked
from msseg.utils.errors import UserValueError
from msseg.utils.upstream import check_cell

UPSAMPLE_LAYERS = Registry('upsampling layer', check_cell)


@UPSAMPLE_LAYERS.register_module('nearest')
class NearestUpsample(nn.Cell):
    """Enlarges (n, c, h, w) by repeating its pixels.

    Args:
        scale_factor: Whole factor in either direction.
    """

    @checked
    def __init__(self, scale_factor: PositiveInt = 2) -> None:
        super().__init__()
        self.scale_factor = scale_factor

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        h, w = x.shape[2:]
        return repeat_pixels(x, self.scale_factor, (h * self.scale_factor, w * self.scale_factor))


@UPSAMPLE_LAYERS.register_module('bilinear')
class BilinearUpsample(nn.Cell):
    """Enlarges (n, c, h, w) bilinearly.

    Args:
        scale_factor: Whole factor in either direction.
        align_corners: See `resize`.
    """

    @checked
    def __init__(self, scale_factor: PositiveInt = 2, align_corners: bool = False) -> None:
        super().__init__()
        self.scale_factor = scale_factor
        self.align_corners = align_corners

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        h, w = x.shape[2:]
        return resize(x, (h * self.scale_factor, w * self.scale_factor), self.align_corners)


@UPSAMPLE_LAYERS.register_module(['deconv', 'deconv2d'])
class ConvTranspose2d(nn.Conv2dTranspose):
    """Transposed convolution with PyTorch's argument names, weights and output size.

    The output is ``(size - 1) * stride - 2 * padding + kernel_size + output_padding`` large.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Height and width of the kernel.
        stride: Factor of enlargement.
        padding: Pixels that are cut off on each side.
        output_padding: Rows and columns more at the end, at most `padding`.
        bias: Whether to add a bias.

    Source: PyTorch ``nn.ConvTranspose2d``, its initialisation too.
    """

    @checked
    def __init__(
        self,
        in_channels: Channels,
        out_channels: Channels,
        kernel_size: PositiveInt,
        stride: PositiveInt = 1,
        padding: NonNegativeInt = 0,
        output_padding: NonNegativeInt = 0,
        bias: bool = True,
    ) -> None:
        if output_padding > padding:
            expected = f'at most padding ({padding})'
            raise UserValueError(
                key='output_padding', got=output_padding, expected=expected, who='deconv'
            )
        # PyTorch counts the second axis of the weight, (in, out, h, w), as the fan-in
        law = Uniform(1 / (out_channels * kernel_size**2) ** 0.5)
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            pad_mode='pad',
            # MindSpore's output_padding appends zeros (2.8); PyTorch's cuts off less
            padding=(padding, padding - output_padding) * 2,
            has_bias=bias,
            weight_init=law,
            bias_init=law,
        )


def build_upsample_layer(
    cfg: Mapping, in_channels: int, out_channels: int, **options: Any
) -> nn.Cell:
    """Build the upsampling that an ``upsample_cfg`` names.

    Args:
        cfg: ``type`` is a name in `UPSAMPLE_LAYERS`, with its arguments.
        in_channels: Channels of the input, for layers that take it.
        out_channels: Channels of the output, for layers that take it.
        **options: Defaults of further arguments, each for layers that take it.

    Raises:
        KeyError: ``type`` is missing or unknown.
        TypeError: An argument that the layer does not take.

    Examples:
        >>> build_upsample_layer(dict(type='deconv', kernel_size=2, stride=2), 8, 4).weight.shape
        (8, 4, 2, 2)
    """
    layer = UPSAMPLE_LAYERS.get(cfg.get('type'))
    takes = accepted_arguments(layer) if layer is not None else None
    channels = {'in_channels': in_channels, 'out_channels': out_channels, **options}
    given = {name: value for name, value in channels.items() if takes is None or name in takes}
    return UPSAMPLE_LAYERS.build(cfg.copy(), **given)
