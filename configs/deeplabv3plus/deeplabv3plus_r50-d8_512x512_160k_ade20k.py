"""DeepLabV3+ on ResNetV1c-50, ADE20K, crops of 512x512, 160,000 iterations.

Paper: Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation,
    https://arxiv.org/abs/1802.02611
Command: python tools/train.py configs/deeplabv3plus/deeplabv3plus_r50-d8_512x512_160k_ade20k.py
Hardware: 4 devices with 4 images each.
Expected: mIoU 43.95 on the validation set, 44.93 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""

_base_ = [
    '../_base_/models/deeplabv3plus_r50-d8.py',
    '../_base_/datasets/ade20k.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_160k.py',
]
model = dict(decode_head=dict(num_classes=150), auxiliary_head=dict(num_classes=150))
