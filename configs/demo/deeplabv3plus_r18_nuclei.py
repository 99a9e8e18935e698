"""DeepLabV3+ on ResNetV1c-18, nuclei in microscopy images, 80 iterations from random weights.

Paper: Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation,
    https://arxiv.org/abs/1802.02611
Command: python tools/train.py configs/demo/deeplabv3plus_r18_nuclei.py
Hardware: CPU, one core, some minutes.
Expected: not measured yet; see docs/results.md for networks of the same settings.
"""

_base_ = [
    '../_base_/models/deeplabv3plus_r50-d8.py',
    '../_base_/datasets/nuclei.py',
    '../_base_/schedules/schedule_nuclei.py',
]
model = dict(
    pretrained=None,
    backbone=dict(depth=18),
    decode_head=dict(
        in_channels=512, channels=128, c1_in_channels=64, c1_channels=12, num_classes=2
    ),
    auxiliary_head=dict(in_channels=256, channels=64, num_classes=2),
)
