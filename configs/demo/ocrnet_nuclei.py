"""The demo: a small OCRNet learns to find nuclei in microscopy images, from scratch, on a CPU.

Paper: Segmentation Transformer: Object-Contextual Representations for Semantic Segmentation,
    https://arxiv.org/abs/1909.11065
Command: make demo, or python tools/train.py configs/demo/ocrnet_nuclei.py
Hardware: CPU, 2 cores.
Expected: mIoU of at least 0.80 on the validation images. MMSegmentation in PyTorch reached 0.84
    with a small OCR head in the same setting.
"""

_base_ = [
    '../_base_/models/ocrnet_small.py',
    '../_base_/datasets/nuclei.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_20k.py',
]
model = dict(decode_head={'*': dict(num_classes=2)})
optimizer = dict(lr=0.02)
runner = dict(max_iters=500)
checkpoint_config = dict(interval=250, max_keep_ckpts=1)
evaluation = dict(interval=100, save_best='mIoU')
log_config = dict(interval=20)
