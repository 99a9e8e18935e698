"""The demo: a small OCRNet learns to find nuclei in microscopy images, from scratch, on a CPU.

Paper: Segmentation Transformer: Object-Contextual Representations for Semantic Segmentation,
    https://arxiv.org/abs/1909.11065
Command: make demo, or python tools/train.py configs/demo/ocrnet_nuclei.py
Hardware: CPU, 2 cores, some six minutes.
Expected: mIoU of at least 0.80 on the validation images; 0.859 was measured here (MindSpore 2.8.0,
    seed 0). With SGD at 0.02 instead of AdamW it was 0.749 after 500 iterations and 0.813 at best;
    MMSegmentation in PyTorch reached 0.84 so, with a small OCR head.
"""

_base_ = [
    '../_base_/models/ocrnet_small.py',
    '../_base_/datasets/nuclei.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_20k.py',
]
model = dict(decode_head={'*': dict(num_classes=2)})
optimizer = dict(_delete_=True, type='AdamW', lr=0.002, weight_decay=0.01)
lr_config = dict(min_lr=1e-5, warmup='linear', warmup_iters=30, warmup_ratio=0.05)
runner = dict(max_iters=500)
checkpoint_config = dict(interval=250, max_keep_ckpts=1)
evaluation = dict(interval=100, save_best='mIoU')
log_config = dict(interval=20)
