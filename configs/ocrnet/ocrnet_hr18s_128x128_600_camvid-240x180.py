"""OCRNet on HRNet-W18-small from scratch, CamVid at 240x180: 600 iterations of 8 crops of 128x128.

Paper: Segmentation Transformer: Object-Contextual Representations for Semantic Segmentation,
    https://arxiv.org/abs/1909.11065
Command: python tools/train.py configs/ocrnet/ocrnet_hr18s_128x128_600_camvid-240x180.py
    Where the data lies: data.train.data_root, data.val.data_root and data.test.data_root.
Hardware: CPU, 2 cores.
Expected: mIoU of 0.350 on the validation set (MindSpore 2.8.0, seed 0), in about 35 minutes. AdamW,
    because SGD needs several times as many iterations from random weights.
"""

_base_ = './ocrnet_small_128x128_1500_camvid-240x180.py'
model = dict(
    backbone=dict(extra=dict(stage3=dict(num_modules=3), stage4=dict(num_modules=2))),
    decode_head={1: dict(channels=512, ocr_channels=256)},
)
optimizer = dict(_delete_=True, type='AdamW', lr=0.002, weight_decay=0.01)
lr_config = dict(min_lr=1e-5, warmup='linear', warmup_iters=30, warmup_ratio=0.05)
runner = dict(max_iters=600)
checkpoint_config = dict(interval=200, max_keep_ckpts=1)
evaluation = dict(interval=200, save_best='mIoU')
