"""FCN head on HRNet-W48, Cityscapes, crops of 512x1024, 160,000 iterations.

Paper: Deep High-Resolution Representation Learning for Visual Recognition,
    https://arxiv.org/abs/1908.07919
Command: python tools/train.py configs/hrnet/fcn_hr48_512x1024_160k_cityscapes.py
Hardware: 4 devices with 2 images each; upstream used 4 V100.
Expected: mIoU 80.65 on the validation set, 81.92 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""

_base_ = [
    '../_base_/models/fcn_hr48.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_160k.py',
]
