"""OCRNet's authors' recipe for ADE20K: HRNet-W48, 120 epochs.

Paper: Segmentation Transformer: Object-Contextual Representations for Semantic Segmentation,
    https://arxiv.org/abs/1909.11065
Command: python tools/train.py configs/ocrnet/ocrnet_hr48_520x520_120e_ade20k-official.py
Hardware: 4 devices with 4 images each, as upstream.
Expected: mIoU 44.5 on the validation set, 45.5 with six scales and flip. That is what its authors
    report for their code in PyTorch; not measured here.
Differences from ocrnet_hr48_512x1024_484e_cityscapes-official:
    - crops of 520x520, scales 0.5 to 2.1 of a long edge of 520
    - the OCR head learns from hard pixels: probability below 0.9, at least 131072 on a device,
      and the mean is over these; the first head's is over all pixels, ignored ones counting as
      zero; classes are not weighted
    - rate 0.02, weight decay 1e-4, 16 images, 120 epochs
    - whole images in tests, with a short edge of 520
Not as there: images are resized once, not first to a short edge of 520 and then to their scale; in
tests they are not padded to multiples of 8.
"""

_base_ = [
    '../_base_/models/ocrnet_hr48_official.py',
    '../_base_/datasets/ade20k_official.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_official.py',
]
sampler = dict(
    type='OHEMPixelSampler',
    thresh=0.9,
    min_kept=131072 // 4,  # of each of a device's 4 images
    mean_over_kept=True,
)
model = dict(
    decode_head={
        '*': dict(num_classes=150),
        0: dict(loss_decode=dict(avg_non_ignore=False)),
        1: dict(sampler=sampler),
    },
    test_cfg=dict(merge='exp_logits'),
)
optimizer = dict(lr=0.02, weight_decay=0.0001)
runner = dict(max_epochs=120)
del sampler
