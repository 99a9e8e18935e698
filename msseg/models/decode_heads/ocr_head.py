"""OCRNet's head: gather the features of object regions, attend to them, classify."""

from __future__ import annotations

from typing import Annotated, Any

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import HEADS
from msseg.models.decode_heads.base_decode_head import BaseCascadeDecodeHead
from msseg.models.layers import BatchProduct, ConvModule, SelfAttentionBlock
from msseg.utils.arguments import Channels, Range, checked

Scale = Annotated[int, Range(1, 255)]


@HEADS.register_module()
class OCRHead(BaseCascadeDecodeHead):
    """Classifies pixels with the context of object regions, which the head before it found.

    Args:
        ocr_channels: Channels of keys, queries and values in the attention.
        scale: Factor on the logits in the gathering softmax; above 1 also the factor by which
            pixels are pooled before attending.
        **kwargs: See `BaseDecodeHead`.

    Source: Yuan et al., Object-Contextual Representations (2020); MMSegmentation 0.30
    ``OCRHead``, whose parameter names it keeps.
    """

    @checked
    def __init__(self, ocr_channels: Channels, scale: Scale = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        options = {'conv_cfg': self.conv_cfg, 'norm_cfg': self.norm_cfg, 'act_cfg': self.act_cfg}
        self.ocr_channels = ocr_channels
        self.scale = scale
        self.object_context_block = ObjectAttentionBlock(
            self.channels, ocr_channels, scale, self.align_corners, **options
        )
        self.spatial_gather_module = SpatialGatherModule(scale)
        self.bottleneck = ConvModule(
            self.in_channels, self.channels, 3, padding=1, bias=self.conv_bias, **options
        )

    def construct(self, inputs: tuple[ms.Tensor, ...], prev_output: ms.Tensor) -> ms.Tensor:
        """Give logits (n, out_channels, h, w) from feature maps and the head before's logits."""
        features = self.bottleneck(self.transform_inputs(inputs))
        regions = self.spatial_gather_module(features, prev_output)
        return self.cls_seg(self.object_context_block(features, regions))


class SpatialGatherModule(nn.Cell):
    """Averages pixel features per class, weighted by a softmax of the class's logits over pixels.

    `scale` multiplies the logits before the softmax. Source: as `OCRHead`, section 3.2.
    """

    def __init__(self, scale: float = 1) -> None:
        super().__init__()
        self.scale = scale
        self.product = BatchProduct(transpose_b=True)

    def construct(self, features: ms.Tensor, logits: ms.Tensor) -> ms.Tensor:
        """Gather (n, c, h, w) by (n, k, h, w) into region vectors (n, c, k, 1)."""
        n, c, h, w = features.shape
        k = logits.shape[1]
        logits = logits.astype(ms.float32).reshape(n, k, h * w)
        weights = ops.softmax(self.scale * logits, axis=2)
        regions = self.product(features.reshape(n, c, h * w), weights)
        return regions.reshape(n, c, k, 1)


class ObjectAttentionBlock(SelfAttentionBlock):
    """Every pixel attends to the region vectors; the result is fused with the pixel.

    Args:
        in_channels: Channels of pixels, regions and output.
        channels: Channels of keys, queries and values.
        scale: Above 1, pixels are max-pooled by this factor before attending, and the context is
            resized back.
        align_corners: How it is resized back.
        **options: Layers of `ConvModule`.

    Source: as `OCRHead`, section 3.2, and the paper's code for `scale`, which MMSegmentation 0.30
    cannot run above 1.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        scale: int = 1,
        align_corners: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(
            in_channels,
            in_channels,
            channels,
            in_channels,
            query_scale=scale,
            key_query_num_convs=2,
            key_query_norm=True,
            value_out_norm=True,
            matmul_norm=True,
            with_out=True,
            align_corners=align_corners,
            **options,
        )
        self.bottleneck = ConvModule(in_channels * 2, in_channels, 1, **options)

    def construct(self, pixels: ms.Tensor, regions: ms.Tensor) -> ms.Tensor:
        """Fuse (n, c, h, w) with the context that regions (n, c, k, 1) give it."""
        context = super().construct(pixels, regions)
        return self.bottleneck(ops.concat((context, pixels), axis=1))
