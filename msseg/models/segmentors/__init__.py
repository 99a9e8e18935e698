"""Segmentors: image to logits, to losses, to labels."""

from msseg.models.segmentors.cascade_encoder_decoder import CascadeEncoderDecoder
from msseg.models.segmentors.encoder_decoder import EncoderDecoder
from msseg.models.segmentors.outputs import (
    HeadLogits,
    HeadLosses,
    InferenceSegmentor,
    SegmentorWithLoss,
)

__all__ = [
    'CascadeEncoderDecoder',
    'EncoderDecoder',
    'HeadLogits',
    'HeadLosses',
    'InferenceSegmentor',
    'SegmentorWithLoss',
]
