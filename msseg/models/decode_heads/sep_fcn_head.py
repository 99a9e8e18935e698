"""Fully convolutional head of separable convolutions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from mindspore import nn

from msseg.models.builder import HEADS
from msseg.models.decode_heads.fcn_head import FCNHead
from msseg.models.layers import DepthwiseSeparableConvModule
from msseg.utils.arguments import Range, checked


@HEADS.register_module()
class DepthwiseSeparableFCNHead(FCNHead):
    """`FCNHead` with depthwise separable convolutions, Fast-SCNN's head.

    Args:
        dw_act_cfg: The activation after the depthwise convolutions; None for none, ``'default'``
            for `act_cfg`.
        num_convs: Number of separable convolutions.
        kernel_size: Height and width of the depthwise kernels.
        concat_input: Whether to concatenate the input to their result and convolve once more.
        dilation: Distance between the depthwise kernels' taps.
        **kwargs: See `BaseDecodeHead`.

    Source: Poudel et al., Fast-SCNN (2019); MMSegmentation 0.30 ``DepthwiseSeparableFCNHead``,
    whose parameter names it keeps, and which ignores `conv_cfg`, `act_cfg` and `dilation`.
    """

    @checked
    def __init__(
        self,
        dw_act_cfg: Mapping | Literal['default'] | None = None,
        num_convs: Annotated[int, Range(1, 100)] = 2,
        kernel_size: Annotated[int, Range(1, 255)] = 3,
        concat_input: bool = True,
        dilation: Annotated[int, Range(1, 255)] = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_convs, kernel_size, concat_input, dilation, **kwargs)
        options = {'dw_act_cfg': dw_act_cfg, **self.conv_options}
        dilated = {'padding': kernel_size // 2 * dilation, 'dilation': dilation, **options}
        widths = [self.in_channels] + [self.channels] * (num_convs - 1)
        self.convs = nn.SequentialCell(
            [DepthwiseSeparableConvModule(w, self.channels, kernel_size, **dilated) for w in widths]
        )
        if concat_input:
            total, padding = self.in_channels + self.channels, kernel_size // 2
            self.conv_cat = DepthwiseSeparableConvModule(
                total, self.channels, kernel_size, padding=padding, **options
            )
