"""DMNet's head: convolutions with kernels that each image makes for itself."""

from __future__ import annotations

from typing import Annotated, Any

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import HEADS
from msseg.models.decode_heads.base_decode_head import BaseDecodeHead
from msseg.models.layers import (
    AdaptiveAvgPool2d,
    Conv2d,
    ConvModule,
    DynamicDepthwiseConv,
    apply_init_cfg,
    build_activation_layer,
    build_norm_layer,
)
from msseg.utils.arguments import NonEmpty, Range, checked

Size = Annotated[int, Range(1, 255)]
_PYTORCH = {'type': 'PyTorchDefault', 'layer': 'Conv2d'}


@HEADS.register_module()
class DMHead(BaseDecodeHead):
    """Concatenates the feature map with convolutions of several sizes, whose kernels it gives.

    Args:
        filter_sizes: The kernels' heights and widths.
        fusion: Whether each result passes one more 1x1 convolution.
        **kwargs: See `BaseDecodeHead`.

    Source: He et al., Dynamic Multi-scale Filters (2019); MMSegmentation 0.30 ``DMHead``, whose
    parameter names it keeps.
    """

    @checked
    def __init__(
        self, filter_sizes: NonEmpty[Size] = (1, 3, 5, 7), fusion: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.filter_sizes = tuple(filter_sizes)
        self.fusion = fusion
        self.dcm_modules = nn.CellList(
            [
                DCM(size, fusion, self.in_channels, self.channels, **self.conv_options)
                for size in self.filter_sizes
            ]
        )
        self.bottleneck = ConvModule(
            self.in_channels + len(self.filter_sizes) * self.channels,
            self.channels,
            3,
            padding=1,
            **self.conv_options,
        )

    def forward_features(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor:
        """Give features (n, channels, h, w) at the chosen feature map's size."""
        x = self.transform_inputs(inputs)
        maps = (x,)
        for module in self.dcm_modules:
            maps = maps + (module(x),)
        return self.bottleneck(ops.concat(maps, axis=1))


class DCM(nn.Cell):
    """Dynamic convolution: the averages over a grid become the kernel of each channel.

    Args:
        filter_size: Height and width of the kernels, rows and columns of the grid.
        fusion: See `DMHead`.
        in_channels: Channels of the input.
        channels: Channels of the result.
        **options: Layers of `ConvModule`.

    Source: as `DMHead`, section 3.2.
    """

    def __init__(
        self, filter_size: int, fusion: bool, in_channels: int, channels: int, **options: Any
    ) -> None:
        super().__init__()
        norm_cfg, act_cfg = options['norm_cfg'], options['act_cfg']
        self.pool = AdaptiveAvgPool2d(filter_size)
        self.filter_gen_conv = Conv2d(in_channels, channels, 1)
        apply_init_cfg(self.filter_gen_conv, _PYTORCH)
        self.input_redu_conv = ConvModule(in_channels, channels, 1, **options)
        self.convolve = DynamicDepthwiseConv(filter_size)
        self.norm = build_norm_layer(norm_cfg, channels)[1] if norm_cfg is not None else None
        self.activate = build_activation_layer(act_cfg) if act_cfg is not None else None
        self.fusion_conv = ConvModule(channels, channels, 1, **options) if fusion else None

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Give (n, channels, h, w) for (n, in_channels, h, w)."""
        kernels = self.filter_gen_conv(self.pool(x))
        x = self.convolve(self.input_redu_conv(x), kernels)
        if self.norm is not None:
            x = self.norm(x)
        if self.activate is not None:
            x = self.activate(x)
        return x if self.fusion_conv is None else self.fusion_conv(x)
