"""PSPNet on MobileNetV2, nuclei in microscopy images, 80 iterations from random weights.

Paper: MobileNetV2: Inverted Residuals and Linear Bottlenecks, https://arxiv.org/abs/1801.04381
Command: python tools/train.py configs/demo/pspnet_m-v2_nuclei.py
Hardware: CPU, one core, some minutes.
Expected: not measured yet; see docs/results.md for networks of the same settings.
"""

_base_ = [
    '../_base_/models/pspnet_m-v2-d8.py',
    '../_base_/datasets/nuclei.py',
    '../_base_/schedules/schedule_nuclei.py',
]
model = dict(
    pretrained=None,
    decode_head=dict(num_classes=2),
    auxiliary_head=dict(num_classes=2),
)
