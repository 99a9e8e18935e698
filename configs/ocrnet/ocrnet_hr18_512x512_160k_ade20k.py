"""OCRNet on HRNet-W18, ADE20K, crops of 512x512, 160,000 iterations.

Paper: Segmentation Transformer: Object-Contextual Representations for Semantic Segmentation,
    https://arxiv.org/abs/1909.11065
Command: python tools/train.py configs/ocrnet/ocrnet_hr18_512x512_160k_ade20k.py
Hardware: 4 devices with 4 images each; upstream used 4 V100.
Expected: mIoU 39.32 on the validation set, 40.80 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""

_base_ = [
    '../_base_/models/ocrnet_hr18.py',
    '../_base_/datasets/ade20k.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_160k.py',
]
model = dict(decode_head={'*': dict(num_classes=150)})
