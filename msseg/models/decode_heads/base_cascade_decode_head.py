"""What the later heads of a cascade share."""

from __future__ import annotations

from msseg.models.decode_heads.base_decode_head import BaseDecodeHead


class BaseCascadeDecodeHead(BaseDecodeHead):
    """Base of heads that take ``construct(inputs, prev_output)``, the head before's logits last.

    Source: MMSegmentation 0.30 ``BaseCascadeDecodeHead``.
    """

    is_cascade = True
