"""PSPNet on ResNetV1c-101, ADE20K, crops of 512x512, 160,000 iterations.

Paper: Pyramid Scene Parsing Network, https://arxiv.org/abs/1612.01105
Command: python tools/train.py configs/pspnet/pspnet_r101-d8_512x512_160k_ade20k.py
Hardware: 4 devices with 4 images each.
Expected: mIoU 44.39 on the validation set, 45.35 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""

_base_ = './pspnet_r50-d8_512x512_160k_ade20k.py'
model = dict(pretrained='open-mmlab://resnet101_v1c', backbone=dict(depth=101))
