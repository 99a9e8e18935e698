"""Head of the asymmetric non-local network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import HEADS
from msseg.models.decode_heads.base_decode_head import BaseDecodeHead
from msseg.models.decode_heads.psp_head import Bins
from msseg.models.layers import AdaptiveAvgPool2d, ConvModule, GridAverages, SelfAttentionBlock
from msseg.utils.arguments import Channels, NonEmpty, Range, checked

Scale = Annotated[int, Range(1, 255)]


@HEADS.register_module()
class ANNHead(BaseDecodeHead):
    """Attends from every pixel to averages over grids: of the map before the last, then of itself.

    Args:
        project_channels: Channels of keys, queries and values in the attention.
        query_scales: An attention for each; above 1, the factor by which its pixels are max-pooled
            before attending (the result is resized back).
        key_pool_scales: The grids' numbers of rows and columns.
        **kwargs: See `BaseDecodeHead`; ``in_channels`` and ``in_index`` are lists of two.

    Raises:
        ValueError: Another number of maps.

    Source: Zhu et al., Asymmetric Non-local Neural Networks (2019); MMSegmentation 0.30
    ``ANNHead``, whose parameter names it keeps. `query_scales` above 1 cannot run there.
    """

    @checked
    def __init__(
        self,
        project_channels: Channels,
        query_scales: NonEmpty[Scale] = (1,),
        key_pool_scales: NonEmpty[Bins] = (1, 3, 6, 8),
        **kwargs: Any,
    ) -> None:
        super().__init__(**{'input_transform': 'multiple_select', **kwargs})
        if self.input_transform != 'multiple_select' or len(self.in_channels) != 2:
            raise ValueError(
                f'ANNHead: input_transform is {self.input_transform!r} and in_channels '
                f"{self.input_channels!r}, expected 'multiple_select' (the default) and two "
                'feature maps, the lower one first'
            )
        low, high = self.in_channels
        self.project_channels = project_channels
        self.min_map_sizes = {self.in_index[1]: max(query_scales)}
        options = {
            'channels': project_channels,
            'query_scales': query_scales,
            'key_pool_scales': key_pool_scales,
            'align_corners': self.align_corners,
            **self.conv_options,
        }
        self.fusion = AsymmetricAttention(low, high, high, activates=False, **options)
        self.bottleneck = ConvModule(high, self.channels, 3, padding=1, **self.conv_options)
        self.context = AsymmetricAttention(
            self.channels, self.channels, self.channels, share_key_query=True, **options
        )

    def forward_features(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor:
        """Give features (n, channels, h, w) at the second feature map's size."""
        low, high = self.transform_inputs(inputs)
        features = self.fusion(low, high)
        if self.dropout is not None:
            features = self.dropout(features)
        features = self.bottleneck(features)
        return self.context(features, features)


class AsymmetricAttention(nn.Cell):
    """Attentions from pixels to averages over grids of another map, fused with the pixels.

    Args:
        low_in_channels: Channels of the map of keys and values.
        high_in_channels: Channels of the map of queries.
        out_channels: Channels of the result.
        channels: See `SelfAttentionBlock`.
        query_scales: See `ANNHead`.
        key_pool_scales: See `ANNHead`.
        share_key_query: See `SelfAttentionBlock`.
        align_corners: See `SelfAttentionBlock`.
        activates: Whether the fusion ends with an activation.
        **options: Layers of `ConvModule`.

    Source: as `ANNHead`, section 3.2; MMSegmentation 0.30 ``AFNB`` and ``APNB``.
    """

    def __init__(
        self,
        low_in_channels: int,
        high_in_channels: int,
        out_channels: int,
        *,
        channels: int,
        query_scales: Sequence[int],
        key_pool_scales: Sequence[int],
        share_key_query: bool = False,
        align_corners: bool = False,
        activates: bool = True,
        **options: Any,
    ) -> None:
        super().__init__()
        stages = [
            SelfAttentionBlock(
                low_in_channels,
                high_in_channels,
                channels,
                out_channels,
                share_key_query=share_key_query,
                query_scale=scale,
                key_downsample=GridAverages([AdaptiveAvgPool2d(bins) for bins in key_pool_scales]),
                key_query_norm=True,
                matmul_norm=True,
                with_out=True,
                align_corners=align_corners,
                **options,
            )
            for scale in query_scales
        ]
        self.stages = nn.CellList(stages)
        if not activates:
            options['act_cfg'] = None
        self.bottleneck = ConvModule(out_channels + high_in_channels, out_channels, 1, **options)

    def construct(self, low: ms.Tensor, high: ms.Tensor) -> ms.Tensor:
        """Fuse (n, high_in_channels, h, w) with its context in (n, low_in_channels, h', w')."""
        context = self.stages[0](high, low)
        for i in range(1, len(self.stages)):
            context = context + self.stages[i](high, low)
        return self.bottleneck(ops.concat((context, high), axis=1))
