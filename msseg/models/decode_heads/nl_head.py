"""Heads of the non-local network and of its disentangled form."""

from __future__ import annotations

from typing import Any

import mindspore as ms

from msseg.models.builder import HEADS
from msseg.models.decode_heads.block_fcn_head import BlockFCNHead
from msseg.models.layers import DisentangledNonLocal2d, NonLocal2d
from msseg.models.layers.non_local import NonLocalMode
from msseg.utils.arguments import Positive, PositiveInt, checked


@HEADS.register_module()
class NLHead(BlockFCNHead):
    """Every pixel attends to all pixels by a `NonLocal2d` block between two convolutions.

    Memory grows with the square of the feature map's number of pixels.

    Args:
        reduction: Divisor of the channels inside the block.
        use_scale: See `NonLocal2d`.
        mode: See `NonLocal2d`.
        **kwargs: See `FCNHead` (without ``num_convs``) and `BaseDecodeHead`.

    Source: Wang et al., Non-local Neural Networks (2018); MMSegmentation 0.30 ``NLHead``, whose
    parameter names it keeps.
    """

    @checked
    def __init__(
        self,
        reduction: PositiveInt = 2,
        use_scale: bool = True,
        mode: NonLocalMode = 'embedded_gaussian',
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.nl_block = NonLocal2d(
            self.channels, reduction, use_scale, self.conv_cfg, self.norm_cfg, mode
        )

    def refine(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the block to (n, channels, h, w)."""
        return self.nl_block(x)


@HEADS.register_module()
class DNLHead(BlockFCNHead):
    """`NLHead` whose block separates what pairs of pixels have in common from single pixels.

    Memory grows with the square of the feature map's number of pixels.

    Args:
        reduction: Divisor of the channels inside the block.
        use_scale: See `NonLocal2d`.
        mode: See `NonLocal2d`.
        temperature: Divisor of the similarities in mode ``'embedded_gaussian'``.
        **kwargs: See `FCNHead` (without ``num_convs``) and `BaseDecodeHead`.

    Source: Yin et al., Disentangled Non-Local Neural Networks (2020); MMSegmentation 0.30
    ``DNLHead``, whose parameter names it keeps.
    """

    @checked
    def __init__(
        self,
        reduction: PositiveInt = 2,
        use_scale: bool = True,
        mode: NonLocalMode = 'embedded_gaussian',
        temperature: Positive = 0.05,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dnl_block = DisentangledNonLocal2d(
            self.channels,
            temperature,
            reduction=reduction,
            use_scale=use_scale,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
            mode=mode,
        )

    def refine(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the block to (n, channels, h, w)."""
        return self.dnl_block(x)
