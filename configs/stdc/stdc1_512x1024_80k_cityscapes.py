"""STDC1 from random weights, Cityscapes, crops of 512x1024, 80,000 iterations.

Paper: Rethinking BiSeNet For Real-time Semantic Segmentation, https://arxiv.org/abs/2104.13188
Command: python tools/train.py configs/stdc/stdc1_512x1024_80k_cityscapes.py
Hardware: 4 devices with 12 images each; upstream used 7.15 GB a card.
Expected: mIoU 71.82 on the validation set, 73.89 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""

_base_ = [
    '../_base_/models/stdc.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_80k.py',
]
lr_config = dict(warmup='linear', warmup_iters=1000)
data = dict(samples_per_gpu=12, workers_per_gpu=4)
