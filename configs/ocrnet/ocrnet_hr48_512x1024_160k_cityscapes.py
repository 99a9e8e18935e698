"""OCRNet on HRNet-W48, Cityscapes, crops of 512x1024, 160,000 iterations.

Paper: Segmentation Transformer: Object-Contextual Representations for Semantic Segmentation,
    https://arxiv.org/abs/1909.11065
Command: python tools/train.py configs/ocrnet/ocrnet_hr48_512x1024_160k_cityscapes.py
Hardware: 4 devices with 2 images each; upstream used 4 V100.
Expected: mIoU 81.35 on the validation set, 82.70 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""

_base_ = [
    '../_base_/models/ocrnet_hr48.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_160k.py',
]
