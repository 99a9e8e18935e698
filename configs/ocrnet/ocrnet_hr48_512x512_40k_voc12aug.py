"""OCRNet on HRNet-W48, PASCAL VOC 2012 with SBD, crops of 512x512, 40,000 iterations.

Paper: Segmentation Transformer: Object-Contextual Representations for Semantic Segmentation,
    https://arxiv.org/abs/1909.11065
Command: python tools/train.py configs/ocrnet/ocrnet_hr48_512x512_40k_voc12aug.py
Hardware: 4 devices with 4 images each; upstream used 4 V100.
Expected: mIoU 77.14 on the validation set, 79.71 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""

_base_ = [
    '../_base_/models/ocrnet_hr48.py',
    '../_base_/datasets/pascal_voc12_aug.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
model = dict(decode_head={'*': dict(num_classes=21)})
