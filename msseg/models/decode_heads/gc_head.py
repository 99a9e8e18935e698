"""GCNet's head."""

from __future__ import annotations

from typing import Annotated, Any

import mindspore as ms

from msseg.models.builder import HEADS
from msseg.models.decode_heads.block_fcn_head import BlockFCNHead
from msseg.models.layers import ContextBlock
from msseg.models.layers.context_block import ContextFusion, ContextPooling
from msseg.utils.arguments import NonEmpty, Range, checked
from msseg.utils.errors import UserValueError

Ratio = Annotated[float, Range(0, 100, above=True)]


@HEADS.register_module()
class GCHead(BlockFCNHead):
    """All pixels get the same global context by a `ContextBlock` between two convolutions.

    Args:
        ratio: Channels inside the block, as a share of `channels`.
        pooling_type: See `ContextBlock`.
        fusion_types: See `ContextBlock`.
        **kwargs: See `FCNHead` (without ``num_convs``) and `BaseDecodeHead`.

    Raises:
        ValueError: `ratio` leaves no channel.

    Source: Cao et al., GCNet (2019); MMSegmentation 0.30 ``GCHead``, whose parameter names it
    keeps.
    """

    @checked
    def __init__(
        self,
        ratio: Ratio = 0.25,
        pooling_type: ContextPooling = 'att',
        fusion_types: NonEmpty[ContextFusion] = ('channel_add',),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if self.channels * ratio < 1:
            expected = f'at least 1/{self.channels}, one of the {self.channels} channels'
            raise UserValueError(key='ratio', got=ratio, expected=expected, who='GCHead')
        self.gc_block = ContextBlock(self.channels, ratio, pooling_type, fusion_types)

    def refine(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the block to (n, channels, h, w)."""
        return self.gc_block(x)
