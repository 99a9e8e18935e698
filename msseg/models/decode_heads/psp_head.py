"""Pyramid pooling, and PSPNet's head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import HEADS
from msseg.models.decode_heads.base_decode_head import BaseDecodeHead
from msseg.models.layers import AdaptiveAvgPool2d, ConvModule, resize
from msseg.utils.arguments import NonEmpty, Range, checked

Bins = Annotated[int, Range(1, 255)]


@HEADS.register_module()
class PSPHead(BaseDecodeHead):
    """Concatenates the feature map with its averages over grids of several sizes.

    Args:
        pool_scales: The grids' numbers of rows and columns.
        **kwargs: See `BaseDecodeHead`.

    Source: Zhao et al., Pyramid Scene Parsing Network (2017); MMSegmentation 0.30 ``PSPHead``,
    whose parameter names it keeps.
    """

    @checked
    def __init__(self, pool_scales: NonEmpty[Bins] = (1, 2, 3, 6), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pool_scales = tuple(pool_scales)
        self.psp_modules = PPM(
            self.pool_scales,
            self.in_channels,
            self.channels,
            self.align_corners,
            **self.conv_options,
        )
        self.bottleneck = ConvModule(
            self.in_channels + len(self.pool_scales) * self.channels,
            self.channels,
            3,
            padding=1,
            **self.conv_options,
        )

    def forward_features(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor:
        """Give features (n, channels, h, w) at the chosen feature map's size."""
        x = self.transform_inputs(inputs)
        return self.bottleneck(ops.concat((x,) + self.psp_modules(x), axis=1))


class PPM(nn.SequentialCell):
    """Pyramid pooling module: a `PooledConvModule` for each grid, side by side.

    A ``CellList`` cannot have a ``construct`` in graph mode (MindSpore 2.8).

    Args:
        pool_scales: The grids' numbers of rows and columns.
        in_channels: Channels of the input.
        channels: Channels of each result.
        align_corners: How the results are resized back.
        **options: Layers of `ConvModule`.
    """

    def __init__(
        self,
        pool_scales: Sequence[int],
        in_channels: int,
        channels: int,
        align_corners: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(
            [
                PooledConvModule(bins, in_channels, channels, align_corners, **options)
                for bins in pool_scales
            ]
        )

    def construct(self, x: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give a map (n, channels, h, w) for each grid."""
        results = ()
        for branch in self.cell_list:
            results = results + (branch(x),)
        return results


class PooledConvModule(nn.SequentialCell):
    """Averages over a grid, applies a 1x1 `ConvModule`, and resizes back.

    Args:
        bins: Rows and columns of the grid.
        in_channels: Channels of the input.
        channels: Channels of the result.
        align_corners: How the result is resized back.
        **options: Layers of `ConvModule`.
    """

    def __init__(
        self,
        bins: int,
        in_channels: int,
        channels: int,
        align_corners: bool = False,
        **options: Any,
    ) -> None:
        conv = ConvModule(in_channels, channels, 1, **options)
        super().__init__(AdaptiveAvgPool2d(bins), conv)
        self.align_corners = align_corners

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Give (n, channels, h, w) for (n, in_channels, h, w)."""
        return resize(super().construct(x), x.shape[2:], self.align_corners)
