"""Segmentors: image to logits, to losses, to labels."""

from msseg.models.segmentors.cascade_encoder_decoder import CascadeEncoderDecoder
from msseg.models.segmentors.encoder_decoder import EncoderDecoder
from msseg.models.segmentors.head_logits import HeadLogits
from msseg.models.segmentors.head_losses import HeadLosses
from msseg.models.segmentors.inference_segmentor import InferenceSegmentor
from msseg.models.segmentors.segmentor_with_loss import SegmentorWithLoss

__all__ = [
    'CascadeEncoderDecoder',
    'EncoderDecoder',
    'HeadLogits',
    'HeadLosses',
    'InferenceSegmentor',
    'SegmentorWithLoss',
]
