"""UPerNet on ResNetV1c-50, Cityscapes, crops of 512x1024, 80,000 iterations.

Paper: Unified Perceptual Parsing for Scene Understanding, https://arxiv.org/abs/1807.10221
Command: python tools/train.py configs/upernet/upernet_r50_512x1024_80k_cityscapes.py
Hardware: 4 devices with 2 images each.
Expected: mIoU 78.19 on the validation set, 79.19 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""

_base_ = [
    '../_base_/models/upernet_r50.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_80k.py',
]
