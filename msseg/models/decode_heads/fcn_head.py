"""Fully convolutional head."""

from __future__ import annotations

from typing import Annotated, Any

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import HEADS
from msseg.models.decode_heads.base_decode_head import BaseDecodeHead
from msseg.models.layers import ConvModule
from msseg.utils.arguments import Range, checked


@HEADS.register_module()
class FCNHead(BaseDecodeHead):
    """Some convolutions, then the classification.

    Args:
        num_convs: Number of convolutions; 0 classifies the input.
        kernel_size: Their height and width.
        concat_input: Whether to concatenate the input to their result and convolve once more.
        dilation: Distance between the kernels' taps.
        **kwargs: See `BaseDecodeHead`.

    Raises:
        ValueError: A value out of range, or no convolution but changed channels.

    Source: Long et al., Fully Convolutional Networks (2015); MMSegmentation 0.30 ``FCNHead``.
    """

    @checked
    def __init__(
        self,
        num_convs: Annotated[int, Range(0, 100)] = 2,
        kernel_size: Annotated[int, Range(1, 255)] = 3,
        concat_input: bool = True,
        dilation: Annotated[int, Range(1, 255)] = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_convs == 0 and self.in_channels != self.channels:
            raise ValueError(
                f'FCNHead: without convolutions, channels ({self.channels}) must equal '
                f'in_channels ({self.in_channels})'
            )
        options = self.conv_options
        widths = [self.in_channels] + [self.channels] * num_convs
        padding = kernel_size // 2 * dilation
        convs = [
            ConvModule(
                widths[i], self.channels, kernel_size, padding=padding, dilation=dilation, **options
            )
            for i in range(num_convs)
        ]
        self.convs = nn.SequentialCell(convs) if convs else nn.Identity()
        self.conv_cat = None
        if concat_input:
            self.conv_cat = ConvModule(
                self.in_channels + self.channels,
                self.channels,
                kernel_size,
                padding=kernel_size // 2,
                **options,
            )

    def forward_features(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor:
        """Give features (n, channels, h, w) at the chosen feature maps' size."""
        x = self.transform_inputs(inputs)
        features = self.convs(x)
        if self.conv_cat is not None:
            features = self.conv_cat(ops.concat((x, features), axis=1))
        return features
