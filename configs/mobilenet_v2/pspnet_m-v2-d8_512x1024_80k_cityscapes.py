"""PSPNet on MobileNetV2, Cityscapes, crops of 512x1024, 80,000 iterations.

Paper: MobileNetV2: Inverted Residuals and Linear Bottlenecks, https://arxiv.org/abs/1801.04381
Command: python tools/train.py configs/mobilenet_v2/pspnet_m-v2-d8_512x1024_80k_cityscapes.py
Hardware: 4 devices with 2 images each; upstream used 3.6 GB a card.
Expected: mIoU 70.23 on the validation set. That is what MMSegmentation 0.30 reports for the
    same settings in PyTorch; not measured here.
"""

_base_ = [
    '../_base_/models/pspnet_m-v2-d8.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_80k.py',
]
