"""SETR's heads of naive and of progressive upsampling."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

import mindspore as ms
from mindspore import nn

from msseg.models.builder import HEADS
from msseg.models.decode_heads.base_decode_head import BaseDecodeHead
from msseg.models.layers import ConvModule, Rescale, build_norm_layer, to_map, to_tokens
from msseg.utils.arguments import Range, checked
from msseg.utils.errors import UserValueError

LN: Mapping = MappingProxyType({'type': 'LN', 'eps': 1e-6, 'requires_grad': True})


@HEADS.register_module()
class SETRUPHead(BaseDecodeHead):
    """Normalises a map of a transformer, then convolves and enlarges it a few times.

    Args:
        norm_layer: The norm over the channels of each pixel, see `build_norm_layer`.
        num_convs: How many times the map is convolved and enlarged.
        up_scale: The factor of each enlargement.
        kernel_size: Height and width of the convolutions.
        **kwargs: See `BaseDecodeHead`; ``in_channels`` and ``in_index`` are numbers.

    Source: Zheng et al., SETR (2021), arXiv:2012.15840, section 3.2; MMSegmentation 0.30
    ``SETRUPHead``, whose parameter names it keeps.
    """

    @checked
    def __init__(
        self,
        norm_layer: Mapping = LN,
        num_convs: Annotated[int, Range(0, 16)] = 1,
        up_scale: Annotated[int, Range(1, 255)] = 4,
        kernel_size: Literal[1, 3] = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(self.in_channels, int):
            raise UserValueError(
                key='in_channels', got=self.in_channels, expected='one number', who='SETRUPHead'
            )
        if num_convs == 0 and self.in_channels != self.channels:
            expected = f'in_channels ({self.in_channels}), as num_convs is 0'
            raise UserValueError(
                key='channels', got=self.channels, expected=expected, who='SETRUPHead'
            )
        self.norm = build_norm_layer(norm_layer, self.in_channels)[1]
        self.up_convs = nn.CellList()
        width = self.in_channels
        for _ in range(num_convs):
            conv = ConvModule(
                width,
                self.channels,
                kernel_size,
                padding=(kernel_size - 1) // 2,
                **self.conv_options,
            )
            self.up_convs.append(nn.SequentialCell([conv, Rescale(up_scale, self.align_corners)]))
            width = self.channels

    def forward_features(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor:
        """Give features of the chosen map's size, times ``up_scale`` for each convolution."""
        x = self.transform_inputs(inputs)
        x = to_map(self.norm(to_tokens(x)), x.shape[2:])
        for up_conv in self.up_convs:
            x = up_conv(x)
        return x
