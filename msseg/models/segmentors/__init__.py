"""Segmentors: image to logits, to losses, to labels."""

from msseg.models.segmentors.cascade_encoder_decoder import CascadeEncoderDecoder
from msseg.models.segmentors.encoder_decoder import EncoderDecoder
from msseg.models.segmentors.outputs import (
    HeadLogits,
    HeadLosses,
    InferenceSegmentor,
    SegmentorWithLoss,
)
