"""Base of heads with a block between two convolutions."""

from __future__ import annotations

from typing import Any, Literal

import mindspore as ms
from mindspore import ops

from msseg.models.decode_heads.fcn_head import FCNHead
from msseg.utils.arguments import checked


class BlockFCNHead(FCNHead):
    """`FCNHead` of two convolutions. A subclass writes `refine`, which is applied between them.

    Args:
        num_convs: 2.
        **kwargs: See `FCNHead` and `BaseDecodeHead`.
    """

    @checked
    def __init__(self, num_convs: Literal[2] = 2, **kwargs: Any) -> None:
        super().__init__(num_convs=num_convs, **kwargs)

    def forward_features(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor:
        """Give features (n, channels, h, w) at the chosen feature maps' size."""
        x = self.transform_inputs(inputs)
        features = self.convs[1](self.refine(self.convs[0](x)))
        if self.conv_cat is not None:
            features = self.conv_cat(ops.concat((x, features), axis=1))
        return features

    def refine(self, x: ms.Tensor) -> ms.Tensor:
        """Return a map of the shape of `x`, (n, channels, h, w)."""
        raise NotImplementedError
