"""LR-ASPP on MobileNetV3-small, Cityscapes, crops of 512x1024, 320,000 iterations.

Paper: Searching for MobileNetV3, https://arxiv.org/abs/1905.02244
Command: python tools/train.py configs/mobilenet_v3/lraspp_m-v3s-d8_512x1024_320k_cityscapes.py
Hardware: 4 devices with 4 images each; upstream used 5.3 GB a card.
Expected: mIoU 64.11 on the validation set, 66.42 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""

_base_ = './lraspp_m-v3-d8_512x1024_320k_cityscapes.py'
model = dict(
    pretrained='open-mmlab://contrib/mobilenet_v3_small',
    backbone=dict(arch='small', out_indices=(0, 1, 12)),
    decode_head=dict(in_channels=(16, 16, 576)),
)
