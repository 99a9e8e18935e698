"""DeepLabV3+'s head: separable dilated convolutions, and a map of high resolution."""

from __future__ import annotations

from typing import Annotated, Any

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import HEADS
from msseg.models.decode_heads.aspp_head import ASPPHead
from msseg.models.layers import ConvModule, DepthwiseSeparableConvModule, resize
from msseg.utils.arguments import Range, checked


@HEADS.register_module()
class DepthwiseSeparableASPPHead(ASPPHead):
    """`ASPPHead` of depthwise separable convolutions, refined by the first feature map.

    Args:
        c1_in_channels: Channels of the first feature map; 0 does without it.
        c1_channels: Channels to which it is reduced. With `c1_in_channels` 0, give 0.
        **kwargs: See `ASPPHead` and `BaseDecodeHead`. Separable convolutions take no ``conv_cfg``.

    Raises:
        ValueError: `c1_channels` does not fit `c1_in_channels`.

    Source: Chen et al., Encoder-Decoder with Atrous Separable Convolution (2018); MMSegmentation
    0.30 ``DepthwiseSeparableASPPHead``, whose parameter names it keeps.
    """

    @checked
    def __init__(
        self,
        c1_in_channels: Annotated[int, Range(0, 65535)],
        c1_channels: Annotated[int, Range(0, 65535)],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (c1_in_channels == 0) != (c1_channels == 0):
            raise ValueError(
                f'DepthwiseSeparableASPPHead: c1_in_channels is {c1_in_channels} and c1_channels '
                f'is {c1_channels}; give both, or 0 for both to do without the first feature map'
            )
        self.c1_in_channels = c1_in_channels
        self.c1_bottleneck = None
        if c1_in_channels > 0:
            self.further_inputs = {'c1_in_channels': 0}
            self.c1_bottleneck = ConvModule(c1_in_channels, c1_channels, 1, **self.conv_options)
        widths = [self.channels + c1_channels, self.channels]
        self.sep_bottleneck = nn.SequentialCell(
            [self._make_separable(width, dilation=1) for width in widths]
        )

    def forward_features(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor:
        """Give features (n, channels, h, w) at the first feature map's size."""
        x = self.fuse(self.transform_inputs(inputs))
        if self.c1_bottleneck is not None:
            first = self.c1_bottleneck(inputs[0])
            x = ops.concat((resize(x, first.shape[2:], self.align_corners), first), axis=1)
        return self.sep_bottleneck(x)

    def _make_branch(self, dilation: int) -> nn.Cell:
        if dilation == 1:
            return super()._make_branch(dilation)
        return self._make_separable(self.in_channels, dilation)

    def _make_separable(self, in_channels: int, dilation: int) -> nn.Cell:
        options = {name: value for name, value in self.conv_options.items() if name != 'conv_cfg'}
        return DepthwiseSeparableConvModule(
            in_channels, self.channels, 3, padding=dilation, dilation=dilation, **options
        )
