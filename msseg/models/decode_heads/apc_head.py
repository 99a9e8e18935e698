"""APCNet's head: region features, weighted by how much each pixel needs them."""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import HEADS
from msseg.models.decode_heads.base_decode_head import BaseDecodeHead
from msseg.models.decode_heads.psp_head import Bins
from msseg.models.layers import (
    AdaptiveAvgPool2d,
    BatchProduct,
    Conv2d,
    ConvModule,
    apply_init_cfg,
)
from msseg.utils.arguments import NonEmpty, checked

_PYTORCH = {'type': 'PyTorchDefault', 'layer': 'Conv2d'}


@HEADS.register_module()
class APCHead(BaseDecodeHead):
    """Concatenates the feature map with contexts that pixels gather from grids of several sizes.

    Args:
        pool_scales: The grids' numbers of rows and columns.
        fusion: Whether each context passes one more 1x1 convolution.
        **kwargs: See `BaseDecodeHead`.

    Source: He et al., Adaptive Pyramid Context Network (2019); MMSegmentation 0.30 ``APCHead``,
    whose parameter names it keeps.
    """

    @checked
    def __init__(
        self, pool_scales: NonEmpty[Bins] = (1, 2, 3, 6), fusion: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.pool_scales = tuple(pool_scales)
        self.fusion = fusion
        self.acm_modules = nn.CellList(
            [
                ACM(bins, fusion, self.in_channels, self.channels, **self.conv_options)
                for bins in self.pool_scales
            ]
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
        maps = (x,)
        for module in self.acm_modules:
            maps = maps + (module(x),)
        return self.bottleneck(ops.concat(maps, axis=1))


class ACM(nn.Cell):
    """Adaptive context: each pixel's weighted sum of the averages over a grid, added to the pixel.

    Args:
        pool_scale: Rows and columns of the grid.
        fusion: See `APCHead`.
        in_channels: Channels of the input.
        channels: Channels of the result.
        **options: Layers of `ConvModule`.

    Source: as `APCHead`, section 3.2.
    """

    def __init__(
        self, pool_scale: int, fusion: bool, in_channels: int, channels: int, **options: Any
    ) -> None:
        super().__init__()
        self.pool = AdaptiveAvgPool2d(pool_scale)
        self.pooled_redu_conv = ConvModule(in_channels, channels, 1, **options)
        self.input_redu_conv = ConvModule(in_channels, channels, 1, **options)
        self.pool_all = AdaptiveAvgPool2d(1)
        self.global_info = ConvModule(channels, channels, 1, **options)
        self.gla = Conv2d(channels, pool_scale**2, 1)
        apply_init_cfg(self.gla, _PYTORCH)
        self.residual_conv = ConvModule(channels, channels, 1, **options)
        self.fusion_conv = ConvModule(channels, channels, 1, **options) if fusion else None
        self.product = BatchProduct()

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Give (n, channels, h, w) for (n, in_channels, h, w)."""
        regions = self.pooled_redu_conv(self.pool(x))
        x = self.input_redu_conv(x)
        n, c, h, w = x.shape
        weights = ops.sigmoid(self.gla(x + self.global_info(self.pool_all(x))))
        places = weights.shape[1]
        context = self.product(regions.reshape(n, c, places), weights.reshape(n, places, h * w))
        result = ops.relu(self.residual_conv(context.reshape(n, c, h, w)) + x)
        return result if self.fusion_conv is None else self.fusion_conv(result)
