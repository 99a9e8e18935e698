"""BiSeNetV2, Cityscapes, crops of 1024x1024, 160,000 iterations.

Paper: BiSeNet V2: Bilateral Network with Guided Aggregation for Real-time Semantic
    Segmentation,
    https://arxiv.org/abs/2004.02147
Command: python tools/train.py configs/bisenetv2/bisenetv2_fcn_4x4_1024x1024_160k_cityscapes.py
Hardware: 4 devices with 4 images each; upstream used 7.64 GB a card.
Expected: mIoU 73.21 on the validation set, 75.74 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""

_base_ = [
    '../_base_/models/bisenetv2.py',
    '../_base_/datasets/cityscapes_1024x1024.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_160k.py',
]
lr_config = dict(warmup='linear', warmup_iters=1000)
optimizer = dict(lr=0.05)
data = dict(samples_per_gpu=4, workers_per_gpu=4)
