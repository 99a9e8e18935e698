"""SETR's head of multi-level aggregation."""

from __future__ import annotations

from typing import Annotated, Any

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import HEADS
from msseg.models.decode_heads.base_decode_head import BaseDecodeHead
from msseg.models.layers import ConvModule, Rescale
from msseg.utils.arguments import Channels, Range, checked
from msseg.utils.errors import UserValueError


@HEADS.register_module()
class SETRMLAHead(BaseDecodeHead):
    """Convolves each map of `MLANeck` twice, enlarges them, and concatenates them.

    Args:
        mla_channels: Channels of each map before the concatenation; ``channels`` is this times the
            number of maps.
        up_scale: The factor of the enlargement.
        **kwargs: See `BaseDecodeHead`; ``in_channels`` and ``in_index`` are lists.
            ``input_transform`` is ``'multiple_select'``.

    Source: Zheng et al., SETR (2021), arXiv:2012.15840, section 3.2; MMSegmentation 0.30
    ``SETRMLAHead``, whose parameter names it keeps.
    """

    own_transform = 'multiple_select'

    @checked
    def __init__(
        self,
        mla_channels: Channels = 128,
        up_scale: Annotated[int, Range(1, 255)] = 4,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        count = len(self.in_channels)
        if self.channels != count * mla_channels:
            expected = f'{count * mla_channels}: mla_channels ({mla_channels}) for each of {count}'
            raise UserValueError(
                key='channels', got=self.channels, expected=expected, who='SETRMLAHead'
            )
        options = {'padding': 1, **self.conv_options}
        self.up_convs = nn.CellList(
            [
                nn.SequentialCell(
                    [
                        ConvModule(width, mla_channels, 3, **options),
                        ConvModule(mla_channels, mla_channels, 3, **options),
                        Rescale(up_scale, self.align_corners),
                    ]
                )
                for width in self.in_channels
            ]
        )

    def forward_features(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor:
        """Give features of the maps' size times ``up_scale``."""
        maps = self.transform_inputs(inputs)
        enlarged = ()
        for i in range(len(maps)):
            enlarged = enlarged + (self.up_convs[i](maps[i]),)
        return ops.cat(enlarged, axis=1)
