"""UPerNet on ResNetV1c-101, Cityscapes, crops of 512x1024, 80,000 iterations.

Paper: Unified Perceptual Parsing for Scene Understanding, https://arxiv.org/abs/1807.10221
Command: python tools/train.py configs/upernet/upernet_r101_512x1024_80k_cityscapes.py
Hardware: 4 devices with 2 images each.
Expected: mIoU 79.40 on the validation set, 80.46 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""

_base_ = './upernet_r50_512x1024_80k_cityscapes.py'
model = dict(pretrained='open-mmlab://resnet101_v1c', backbone=dict(depth=101))
