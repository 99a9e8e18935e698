"""OCRNet's authors' recipe for LIP: HRNet-W48, 150 epochs.

Paper: Segmentation Transformer: Object-Contextual Representations for Semantic Segmentation,
    https://arxiv.org/abs/1909.11065
Command: python tools/train.py configs/ocrnet/ocrnet_hr48_473x473_150e_lip-official.py
Hardware: 4 devices with 10 images each, as upstream.
Expected: mIoU 55.83 on the validation set, 56.48 with flip. That is what its authors report for
    their code in PyTorch; not measured here. To flip, give tools/test.py
    --cfg-options data.test.pipeline.1.flip=True.
Differences from ocrnet_hr48_512x1024_484e_cityscapes-official:
    - images are squeezed to 473x473, in training times 0.5 to 1.6; crops of 473x473
    - a flip exchanges left and right limbs, in training and in tests
    - classes are not weighted
    - rate 0.007, 40 images, 150 epochs
Not as there: images are resized once, not first to 473x473 and then to their scale.
"""

_base_ = [
    '../_base_/models/ocrnet_hr48_official.py',
    '../_base_/datasets/lip_official.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_official.py',
]
model = dict(
    decode_head={'*': dict(num_classes=20)},
    test_cfg=dict(merge='exp_logits', swap_seg_labels={{_base_.swap_seg_labels}}),
)
optimizer = dict(lr=0.007)
runner = dict(max_epochs=150)
