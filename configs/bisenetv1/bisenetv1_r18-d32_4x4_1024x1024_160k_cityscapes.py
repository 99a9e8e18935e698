"""BiSeNetV1 on ResNet-18 from random weights, Cityscapes, crops of 1024x1024, 160,000 iterations.

Paper: BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation,
    https://arxiv.org/abs/1808.00897
Command: python tools/train.py configs/bisenetv1/bisenetv1_r18-d32_4x4_1024x1024_160k_cityscapes.py
Hardware: 4 devices with 4 images each; upstream used 5.69 GB a card.
Expected: mIoU 74.44 on the validation set, 77.05 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""

_base_ = [
    '../_base_/models/bisenetv1_r18-d32.py',
    '../_base_/datasets/cityscapes_1024x1024.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_160k.py',
]
lr_config = dict(warmup='linear', warmup_iters=1000)
optimizer = dict(lr=0.025)
data = dict(samples_per_gpu=4, workers_per_gpu=4)
