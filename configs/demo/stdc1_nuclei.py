"""STDC1, nuclei in microscopy images, 80 iterations from random weights.

Paper: Rethinking BiSeNet For Real-time Semantic Segmentation, https://arxiv.org/abs/2104.13188
Command: python tools/train.py configs/demo/stdc1_nuclei.py
Hardware: CPU, one core, some minutes.
Expected: mIoU 0.727 on the validation images, measured here (MindSpore 2.8.0, seed 0);
    MMSegmentation 0.30 reached 0.670 with the same settings.
"""

_base_ = [
    '../_base_/models/stdc.py',
    '../_base_/datasets/nuclei.py',
    '../_base_/schedules/schedule_nuclei.py',
]
model = dict(
    decode_head=dict(num_classes=2),
    auxiliary_head={'*': dict(num_classes=2)},
)
