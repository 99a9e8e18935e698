"""OCRNet's authors' recipe for PASCAL-Context (59 classes): HRNet-W48, 200 epochs.

Paper: Segmentation Transformer: Object-Contextual Representations for Semantic Segmentation,
    https://arxiv.org/abs/1909.11065
Command: python tools/train.py configs/ocrnet/ocrnet_hr48_520x520_200e_pascal-context-59-official.py
Hardware: 4 devices with 4 images each, as upstream.
Expected: mIoU 56.2 on the validation set with six scales and flip. That is what its authors
    report for their code in PyTorch; not measured here.
Differences from ocrnet_hr48_512x1024_484e_cityscapes-official:
    - crops of 520x520, scales 0.5 to 2.1 of a long edge of 520
    - classes are not weighted
    - rate 0.001, in both heads (names with cls, aux or ocr there) ten times that; weight decay
      1e-4, 16 images, 200 epochs
    - tests in windows of 520x520, two thirds of that apart, with a long edge of 520 at scale 1
Not as there: in tests, images and windows at the border are not padded to 520x520, and the last
window is moved back into the image.
"""

_base_ = [
    '../_base_/models/ocrnet_hr48_official.py',
    '../_base_/datasets/pascal_context_59_official.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_official.py',
]
model = dict(
    decode_head={'*': dict(num_classes=59)},
    test_cfg=dict(mode='slide', crop_size=(520, 520), stride=(346, 346), merge='exp_logits'),
)
optimizer = dict(
    lr=0.001,
    weight_decay=0.0001,
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=10.0))),
)
runner = dict(max_epochs=200)
