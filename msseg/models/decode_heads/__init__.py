"""Decode heads: feature maps to logits, and logits to losses."""

from msseg.models.decode_heads.base_decode_head import BaseCascadeDecodeHead, BaseDecodeHead
from msseg.models.decode_heads.fcn_head import FCNHead
from msseg.models.decode_heads.lraspp_head import LRASPPHead
from msseg.models.decode_heads.ocr_head import OCRHead
