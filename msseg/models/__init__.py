"""Models: layers, backbones, necks, heads, losses, segmentors, and how to build them."""

from msseg.models import backbones, decode_heads, losses, necks, origins, samplers, segmentors
from msseg.models.builder import (
    BACKBONES,
    HEADS,
    LOSSES,
    NECKS,
    PIXEL_SAMPLERS,
    SEGMENTORS,
    build_backbone,
    build_head,
    build_loss,
    build_neck,
    build_pixel_sampler,
    build_segmentor,
)
from msseg.models.decode_heads import BaseCascadeDecodeHead, BaseDecodeHead
from msseg.models.segmentors import InferenceSegmentor, SegmentorWithLoss
