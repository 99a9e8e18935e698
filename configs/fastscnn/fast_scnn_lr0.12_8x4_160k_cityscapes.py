"""Fast-SCNN, Cityscapes, crops of 512x1024, 160,000 iterations.

Paper: Fast-SCNN: Fast Semantic Segmentation Network, https://arxiv.org/abs/1902.04502
Command: python tools/train.py configs/fastscnn/fast_scnn_lr0.12_8x4_160k_cityscapes.py
Hardware: 8 devices with 4 images each; upstream used 3.3 GB a card.
Expected: mIoU 70.96 on the validation set, 72.65 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""

_base_ = [
    '../_base_/models/fast_scnn.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_160k.py',
]
optimizer = dict(lr=0.12, weight_decay=4e-5)
data = dict(samples_per_gpu=4, workers_per_gpu=4)
