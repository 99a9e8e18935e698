"""UPerNet's head: pyramid pooling on top of a feature pyramid."""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import HEADS
from msseg.models.decode_heads.base_decode_head import BaseDecodeHead
from msseg.models.decode_heads.psp_head import PPM, Bins
from msseg.models.layers import ConvModule, resize
from msseg.utils.arguments import NonEmpty, checked


@HEADS.register_module()
class UPerHead(BaseDecodeHead):
    """Pools the last feature map as `PSPHead`, adds it to the others top-down, and joins all.

    Args:
        pool_scales: Rows and columns of the grids over which the last feature map is averaged.
        **kwargs: See `BaseDecodeHead`; ``in_channels`` and ``in_index`` are lists, the highest
            resolution first. ``input_transform`` is ``'multiple_select'``.

    Source: Xiao et al., Unified Perceptual Parsing for Scene Understanding (2018); MMSegmentation
    0.30 ``UPerHead``, whose parameter names it keeps.
    """

    own_transform = 'multiple_select'

    @checked
    def __init__(self, pool_scales: NonEmpty[Bins] = (1, 2, 3, 6), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        width, options = self.channels, self.conv_options
        *lower, top = self.in_channels
        self.psp_modules = PPM(pool_scales, top, width, self.align_corners, **options)
        self.bottleneck = ConvModule(top + len(pool_scales) * width, width, 3, padding=1, **options)
        self.lateral_convs = nn.CellList([ConvModule(each, width, 1, **options) for each in lower])
        self.fpn_convs = nn.CellList(
            [ConvModule(width, width, 3, padding=1, **options) for _ in lower]
        )
        self.fpn_bottleneck = ConvModule(
            len(self.in_channels) * width, width, 3, padding=1, **options
        )

    def forward_features(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor:
        """Give features (n, channels, h, w) at the first chosen feature map's size."""
        maps = self.transform_inputs(inputs)
        top = self.bottleneck(ops.concat((maps[-1],) + self.psp_modules(maps[-1]), axis=1))
        size = maps[0].shape[2:]
        outputs = (top,)
        for i in range(len(maps) - 2, -1, -1):
            lateral = self.lateral_convs[i](maps[i])
            top = lateral + resize(top, lateral.shape[2:], self.align_corners)
            outputs = (self.fpn_convs[i](top),) + outputs
        resized = (outputs[0],)
        for output in outputs[1:]:
            resized = resized + (resize(output, size, self.align_corners),)
        return self.fpn_bottleneck(ops.concat(resized, axis=1))
