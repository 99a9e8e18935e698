"""PSPNet on ResNetV1c-18, Cityscapes, crops of 512x1024, 80,000 iterations.

Paper: Pyramid Scene Parsing Network, https://arxiv.org/abs/1612.01105
Command: python tools/train.py configs/pspnet/pspnet_r18-d8_512x1024_80k_cityscapes.py
Hardware: 4 devices with 2 images each; upstream used 1.7 GB a card.
Expected: mIoU 74.87 on the validation set, 76.04 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""

_base_ = './pspnet_r50-d8_512x1024_80k_cityscapes.py'
model = dict(
    pretrained='open-mmlab://resnet18_v1c',
    backbone=dict(depth=18),
    decode_head=dict(in_channels=512, channels=128),
    auxiliary_head=dict(in_channels=256, channels=64),
)
