"""DeepLabV3+ on ResNetV1c-101, Cityscapes, crops of 512x1024, 80,000 iterations.

Paper: Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation,
    https://arxiv.org/abs/1802.02611
Command:
    python tools/train.py configs/deeplabv3plus/deeplabv3plus_r101-d8_512x1024_80k_cityscapes.py
Hardware: 4 devices with 2 images each.
Expected: mIoU 80.97 on the validation set, 82.03 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""

_base_ = './deeplabv3plus_r50-d8_512x1024_80k_cityscapes.py'
model = dict(pretrained='open-mmlab://resnet101_v1c', backbone=dict(depth=101))
