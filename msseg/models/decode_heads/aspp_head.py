"""DeepLabV3's head: dilated convolutions side by side."""

from __future__ import annotations

from typing import Annotated, Any

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import HEADS
from msseg.models.decode_heads.base_decode_head import BaseDecodeHead
from msseg.models.decode_heads.psp_head import PooledConvModule
from msseg.models.layers import ConvModule
from msseg.utils.arguments import NonEmpty, Range, checked

Dilation = Annotated[int, Range(1, 255)]


@HEADS.register_module()
class ASPPHead(BaseDecodeHead):
    """Concatenates convolutions of several dilations and the average over the map.

    Args:
        dilations: Dilation of each convolution; the kernel is 1x1 for 1, else 3x3.
        **kwargs: See `BaseDecodeHead`.

    Source: Chen et al., Rethinking Atrous Convolution (2017); MMSegmentation 0.30 ``ASPPHead``,
    whose parameter names it keeps.
    """

    @checked
    def __init__(self, dilations: NonEmpty[Dilation] = (1, 6, 12, 18), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dilations = tuple(dilations)
        self.image_pool = PooledConvModule(
            1, self.in_channels, self.channels, self.align_corners, **self.conv_options
        )
        self.aspp_modules = nn.CellList([self._make_branch(each) for each in self.dilations])
        self.bottleneck = ConvModule(
            (len(self.dilations) + 1) * self.channels,
            self.channels,
            3,
            padding=1,
            **self.conv_options,
        )

    def forward_features(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor:
        """Give features (n, channels, h, w) at the chosen feature map's size."""
        return self.fuse(self.transform_inputs(inputs))

    def fuse(self, x: ms.Tensor) -> ms.Tensor:
        """Apply all branches to (n, c, h, w), and reduce them to (n, channels, h, w)."""
        branches = (self.image_pool(x),)
        for module in self.aspp_modules:
            branches = branches + (module(x),)
        return self.bottleneck(ops.concat(branches, axis=1))

    def _make_branch(self, dilation: int) -> nn.Cell:
        size = 1 if dilation == 1 else 3
        return ConvModule(
            self.in_channels,
            self.channels,
            size,
            padding=size // 2 * dilation,
            dilation=dilation,
            **self.conv_options,
        )
