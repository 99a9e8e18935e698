"""SegFormer's head."""

from __future__ import annotations

from typing import Any, Literal

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import HEADS
from msseg.models.decode_heads.base_decode_head import BaseDecodeHead
from msseg.models.layers import ConvModule, resize, resize_nearest
from msseg.models.layers.activation import RELU
from msseg.utils.arguments import checked


@HEADS.register_module()
class SegformerHead(BaseDecodeHead):
    """Brings maps to equal channels and size, concatenates and fuses them, all by 1x1 convolutions.

    Args:
        interpolate_mode: How maps are enlarged to the first one's size.
        plain_projections: Whether maps are brought to equal channels by convolutions with biases
            alone, as SegFormer's authors and Hugging Face do; by default a norm and an activation
            follow, as in MMSegmentation.
        **kwargs: See `BaseDecodeHead`; ``in_channels`` and ``in_index`` are lists.
            ``input_transform`` is ``'multiple_select'``.

    Source: Xie et al., SegFormer (2021); MMSegmentation 0.30 ``SegformerHead``, whose parameter
    names it keeps.
    """

    @checked
    def __init__(
        self,
        interpolate_mode: Literal['bilinear', 'nearest'] = 'bilinear',
        plain_projections: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(input_transform='multiple_select', **kwargs)
        self.is_nearest = interpolate_mode == 'nearest'
        self.always_resizes = False  # set by an export for any size
        options = self.conv_options
        if plain_projections:
            options = {**options, 'bias': True, 'norm_cfg': None, 'act_cfg': None}
        self.convs = nn.CellList(
            [ConvModule(each, self.channels, 1, **options) for each in self.in_channels]
        )
        width = self.channels * len(self.in_channels)
        # always with ReLU, as upstream
        options = {**self.conv_options, 'act_cfg': RELU}
        self.fusion_conv = ConvModule(width, self.channels, 1, **options)

    def forward_features(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor:
        """Give features (n, channels, h, w) at the first chosen feature map's size."""
        maps = self.transform_inputs(inputs)
        size, enlarged = maps[0].shape[2:], ()
        for i in range(len(maps)):
            enlarged = enlarged + (self.enlarge(self.convs[i](maps[i]), size),)
        return self.fusion_conv(ops.cat(enlarged, axis=1))

    def enlarge(self, x: ms.Tensor, size: tuple[int, int]) -> ms.Tensor:
        """Resize a map to (h, w)."""
        if self.is_nearest:
            return resize_nearest(x, size, self.always_resizes)
        return resize(x, size, self.align_corners)
