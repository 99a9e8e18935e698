"""PSPNet on ResNetV1c-50, ADE20K, crops of 512x512, 160,000 iterations.

Paper: Pyramid Scene Parsing Network, https://arxiv.org/abs/1612.01105
Command: python tools/train.py configs/pspnet/pspnet_r50-d8_512x512_160k_ade20k.py
Hardware: 4 devices with 4 images each.
Expected: mIoU 42.48 on the validation set, 43.44 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""

_base_ = [
    '../_base_/models/pspnet_r50-d8.py',
    '../_base_/datasets/ade20k.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_160k.py',
]
model = dict(decode_head=dict(num_classes=150), auxiliary_head=dict(num_classes=150))
