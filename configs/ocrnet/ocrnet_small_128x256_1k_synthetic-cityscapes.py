"""A small OCRNet on synthetic streets, in the layout of MMSegmentation.

Paper: Segmentation Transformer: Object-Contextual Representations for Semantic Segmentation,
    https://arxiv.org/abs/1909.11065
Command: python tools/convert_datasets/synthetic_cityscapes.py --out data/synthetic_cityscapes
    python tools/train.py configs/ocrnet/ocrnet_small_128x256_1k_synthetic-cityscapes.py
Hardware: CPU, 2 cores.
Expected: mIoU of at least 0.6 over the classes present.
"""

_base_ = [
    '../_base_/models/ocrnet_small.py',
    '../_base_/datasets/synthetic_cityscapes.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_20k.py',
]
optimizer = dict(lr=0.02)
runner = dict(max_iters=1000)
checkpoint_config = dict(interval=500, max_keep_ckpts=1)
evaluation = dict(interval=500, save_best='mIoU')
log_config = dict(interval=20)
