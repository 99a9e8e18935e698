"""PSPNet on MobileNetV2, ADE20K, crops of 512x512, 160,000 iterations.

Paper: MobileNetV2: Inverted Residuals and Linear Bottlenecks, https://arxiv.org/abs/1801.04381
Command: python tools/train.py configs/mobilenet_v2/pspnet_m-v2-d8_512x512_160k_ade20k.py
Hardware: 4 devices with 4 images each; upstream used 6.5 GB a card.
Expected: mIoU 29.68 on the validation set. That is what MMSegmentation 0.30 reports for the
    same settings in PyTorch; not measured here.
"""

_base_ = [
    '../_base_/models/pspnet_m-v2-d8.py',
    '../_base_/datasets/ade20k.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_160k.py',
]
model = dict(decode_head=dict(num_classes=150), auxiliary_head=dict(num_classes=150))
