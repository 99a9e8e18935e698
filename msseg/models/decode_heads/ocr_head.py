"""OCRNet's head."""

from __future__ import annotations

from typing import Annotated, Any

import mindspore as ms

from msseg.models.builder import HEADS
from msseg.models.decode_heads.base_cascade_decode_head import BaseCascadeDecodeHead
from msseg.models.decode_heads.object_attention import ObjectAttentionBlock, SpatialGatherModule
from msseg.models.layers import ConvModule
from msseg.utils.arguments import Channels, Range, checked

Scale = Annotated[int, Range(1, 255)]


@HEADS.register_module()
class OCRHead(BaseCascadeDecodeHead):
    """Classifies pixels with the context of the object regions that the head before found.

    Args:
        ocr_channels: Channels of keys, queries and values in the attention.
        scale: Factor on the logits in the gathering softmax; above 1 also the factor by which
            pixels are pooled before attending.
        **kwargs: See `BaseDecodeHead`.

    Raises:
        ValueError: `scale` below 1.

    Source: Yuan et al., Object-Contextual Representations (2020); MMSegmentation 0.30
    ``OCRHead``, whose parameter names it keeps.
    """

    @checked
    def __init__(self, ocr_channels: Channels, scale: Scale = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        options = {
            'conv_cfg': self.conv_cfg,
            'norm_cfg': self.norm_cfg,
            'act_cfg': self.act_cfg,
        }
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
