"""LR-ASPP on MobileNetV3-large, Cityscapes, crops of 512x1024, 320,000 iterations.

Paper: Searching for MobileNetV3, https://arxiv.org/abs/1905.02244
Command: python tools/train.py configs/mobilenet_v3/lraspp_m-v3-d8_512x1024_320k_cityscapes.py
Hardware: 4 devices with 4 images each; upstream used 8.9 GB a card.
Expected: mIoU 69.54 on the validation set, 70.89 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""

_base_ = [
    '../_base_/models/lraspp_m-v3-d8.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_160k.py',
]
model = dict(pretrained='open-mmlab://contrib/mobilenet_v3_large')
data = dict(samples_per_gpu=4, workers_per_gpu=4)
runner = dict(max_iters=320000)
