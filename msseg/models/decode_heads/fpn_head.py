"""Semantic FPN's head."""

from __future__ import annotations

import math
from typing import Any

import mindspore as ms
from mindspore import nn

from msseg.models.builder import HEADS
from msseg.models.decode_heads.base_decode_head import BaseDecodeHead
from msseg.models.layers import ConvModule, build_upsample_layer, resize
from msseg.utils.arguments import NonEmpty, Pixels, checked


@HEADS.register_module()
class FPNHead(BaseDecodeHead):
    """Convolves and enlarges each feature map by steps of two up to the first, and adds them.

    Args:
        feature_strides: Pixels of the image per pixel of each feature map, the smallest first.
        **kwargs: See `BaseDecodeHead`; ``in_channels`` and ``in_index`` are lists.
            ``input_transform`` is ``'multiple_select'``.

    Raises:
        ValueError: `feature_strides` has another length, or does not begin with its smallest.

    Source: Kirillov et al., Panoptic Feature Pyramid Networks (2019), section 3; MMSegmentation
    0.30 ``FPNHead``, whose parameter names it keeps.
    """

    own_transform = 'multiple_select'

    @checked
    def __init__(self, feature_strides: NonEmpty[Pixels], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if len(feature_strides) != len(self.in_channels):
            raise ValueError(
                f'FPNHead: feature_strides is {feature_strides!r}, expected '
                f'{len(self.in_channels)} numbers, as many as in_channels'
            )
        if min(feature_strides) != feature_strides[0]:
            raise ValueError(
                f'FPNHead: feature_strides is {feature_strides!r}, expected the smallest first'
            )
        self.feature_strides = tuple(feature_strides)
        self.scale_heads = nn.CellList(
            [
                self._make_scale_head(in_channels, stride / feature_strides[0])
                for in_channels, stride in zip(self.in_channels, feature_strides, strict=True)
            ]
        )

    def forward_features(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor:
        """Give features (n, channels, h, w) at the first chosen feature map's size."""
        maps = self.transform_inputs(inputs)
        total = self.scale_heads[0](maps[0])
        for i in range(1, len(maps)):
            enlarged = self.scale_heads[i](maps[i])
            total = total + resize(enlarged, total.shape[2:], self.align_corners)
        return total

    def _make_scale_head(self, in_channels: int, factor: float) -> nn.SequentialCell:
        upsampling = {'type': 'bilinear', 'align_corners': self.align_corners}
        layers = []
        for _ in range(max(1, int(math.log2(factor)))):
            layers.append(ConvModule(in_channels, self.channels, 3, padding=1, **self.conv_options))
            in_channels = self.channels
            if factor != 1:
                layers.append(build_upsample_layer(upsampling, in_channels, in_channels))
        return nn.SequentialCell(layers)
