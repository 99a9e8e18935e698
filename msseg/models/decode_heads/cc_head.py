"""Criss-cross attention, and CCNet's head."""

from __future__ import annotations

from typing import Annotated, Any

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import HEADS
from msseg.models.decode_heads.block_fcn_head import BlockFCNHead
from msseg.models.layers import BatchProduct, Conv2d, Scale, apply_init_cfg
from msseg.utils.arguments import Range, checked
from msseg.utils.errors import UserValueError

_REDUCTION = 8
_PYTORCH = {'type': 'PyTorchDefault', 'layer': 'Conv2d'}


@HEADS.register_module()
class CCHead(BlockFCNHead):
    """Every pixel attends to its row and column, several times, between two convolutions.

    Args:
        recurrence: How often the `CrissCrossAttention` is applied; from two on, every pixel reaches
            all others.
        **kwargs: See `FCNHead` (without ``num_convs``) and `BaseDecodeHead`.

    Raises:
        ValueError: `channels` is below 8.

    Source: Huang et al., CCNet (2019); MMSegmentation 0.30 ``CCHead``, whose parameter names it
    keeps.
    """

    @checked
    def __init__(self, recurrence: Annotated[int, Range(1, 100)] = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.channels < _REDUCTION:
            raise UserValueError(
                key='channels', got=self.channels, expected=f'at least {_REDUCTION}', who='CCHead'
            )
        self.recurrence = recurrence
        self.cca = CrissCrossAttention(self.channels)

    def refine(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the attention to (n, channels, h, w)."""
        for _ in range(self.recurrence):
            x = self.cca(x)
        return x


class CrissCrossAttention(nn.Cell):
    """Add to each pixel an average of its row and column, weighted by a softmax over both.

    The block starts as the identity.

    Args:
        in_channels: Channels of input and output, at least 8; keys and queries have an eighth.

    Source: as `CCHead`, section 3.2; MMCV 1.7 ``CrissCrossAttention``, whose parameter names it
    keeps.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        inner = in_channels // _REDUCTION
        self.query_conv = Conv2d(in_channels, inner, 1)
        self.key_conv = Conv2d(in_channels, inner, 1)
        self.value_conv = Conv2d(in_channels, in_channels, 1)
        apply_init_cfg(self, _PYTORCH)
        self.gamma = Scale(0.0)
        self.similarity = BatchProduct(transpose_a=True)
        self.average = BatchProduct(transpose_b=True)
        self.max = ops.ReduceMax(keep_dims=True)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the block to (n, c, h, w)."""
        query, key, value = self.query_conv(x), self.key_conv(x), self.value_conv(x)
        of_column, of_row, own = self._weights(query, key)
        context = (
            self.average(value.transpose(0, 3, 1, 2), of_column).transpose(0, 2, 3, 1)
            + self.average(value.transpose(0, 2, 1, 3), of_row).transpose(0, 2, 1, 3)
            - own * value
        )
        return x + self.gamma(context)

    def _weights(self, query: ms.Tensor, key: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor, ms.Tensor]:
        """Return the softmax of a pixel's products with its column and its row.

        The pixel is in both, but counts once: what it weighs must be taken away once. (A mask would
        have the size of the map, which a graph for any size does not know.)

        Returns:
            The weights of the column's pixels (n, w, h, h), of the row's (n, h, w, w), and of the
            pixel itself (n, 1, h, w), float32.
        """
        columns = self.similarity(query.transpose(0, 3, 1, 2), key.transpose(0, 3, 1, 2))
        rows = self.similarity(query.transpose(0, 2, 1, 3), key.transpose(0, 2, 1, 3))
        columns, rows = columns.astype(ms.float32), rows.astype(ms.float32)
        own = (query.astype(ms.float32) * key.astype(ms.float32)).sum(axis=1).expand_dims(3)
        # (n, h, w, 1) from here on; the transposed ones belong to columns
        most = ops.maximum(self.max(columns, -1).transpose(0, 2, 1, 3), self.max(rows, -1))
        most = ops.stop_gradient(ops.maximum(most, own))
        columns = ops.exp(columns - most.transpose(0, 2, 1, 3))
        rows, own = ops.exp(rows - most), ops.exp(own - most)
        total = columns.sum(axis=-1, keepdims=True).transpose(0, 2, 1, 3)
        total = total + rows.sum(axis=-1, keepdims=True) - own
        own = (own / total).transpose(0, 3, 1, 2)
        return columns / total.transpose(0, 2, 1, 3), rows / total, own
