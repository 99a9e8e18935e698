"""BiSeNetV2, nuclei in microscopy images, 80 iterations from random weights.

Paper: BiSeNet V2: Bilateral Network with Guided Aggregation for Real-time Semantic Segmentation,
    https://arxiv.org/abs/2004.02147
Command: python tools/train.py configs/demo/bisenetv2_nuclei.py
Hardware: CPU, one core, some minutes.
Expected: mIoU 0.713 on the validation images, measured here (MindSpore 2.8.0, seed 0);
    MMSegmentation 0.30 reached 0.747 with the same settings.
"""

_base_ = [
    '../_base_/models/bisenetv2.py',
    '../_base_/datasets/nuclei.py',
    '../_base_/schedules/schedule_nuclei.py',
]
model = dict(
    decode_head=dict(num_classes=2),
    auxiliary_head={'*': dict(num_classes=2)},
)
