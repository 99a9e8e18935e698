"""UPerNet on ResNetV1c-101, ADE20K, crops of 512x512, 160,000 iterations.

Paper: Unified Perceptual Parsing for Scene Understanding, https://arxiv.org/abs/1807.10221
Command: python tools/train.py configs/upernet/upernet_r101_512x512_160k_ade20k.py
Hardware: 4 devices with 4 images each.
Expected: mIoU 43.82 on the validation set, 44.85 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""

_base_ = './upernet_r50_512x512_160k_ade20k.py'
model = dict(pretrained='open-mmlab://resnet101_v1c', backbone=dict(depth=101))
