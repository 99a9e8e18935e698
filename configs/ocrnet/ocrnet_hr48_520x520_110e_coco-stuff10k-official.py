"""OCRNet's authors' recipe for COCO-Stuff 10k: HRNet-W48, 110 epochs.

Paper: Segmentation Transformer: Object-Contextual Representations for Semantic Segmentation,
    https://arxiv.org/abs/1909.11065
Command: python tools/train.py configs/ocrnet/ocrnet_hr48_520x520_110e_coco-stuff10k-official.py
Hardware: 4 devices with 4 images each, as upstream.
Expected: mIoU 39.7 on the test set, 40.6 with six scales and flip. That is what its authors
    report for their code in PyTorch; not measured here.
Differences from ocrnet_hr48_512x1024_484e_cityscapes-official:
    - crops of 520x520, scales 0.5 to 2.1 of a long edge of 520
    - the OCR head learns from hard pixels: probability below 0.9, at least 131072 on a device,
      and the mean is over these; the first head's is over all pixels, ignored ones counting as
      zero; classes are not weighted
    - rate 0.001, in both heads (names with cls, aux or ocr there) ten times that; weight decay
      1e-4, 16 images, 110 epochs
    - whole images in tests, with a short edge of 520
Not as there: images are resized once, not first to a short edge of 520 and then to their scale; in
tests they are not padded to multiples of 8.
"""

_base_ = [
    '../_base_/models/ocrnet_hr48_official.py',
    '../_base_/datasets/coco_stuff10k_official.py',
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
        '*': dict(num_classes=171),
        0: dict(loss_decode=dict(avg_non_ignore=False)),
        1: dict(sampler=sampler),
    },
    test_cfg=dict(merge='exp_logits'),
)
optimizer = dict(
    lr=0.001,
    weight_decay=0.0001,
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=10.0))),
)
runner = dict(max_epochs=110)
del sampler
