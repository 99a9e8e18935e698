"""OCRNet on HRNet-W18-small from scratch, CamVid at 240x180: 1500 iterations of 8 crops of 128x128.

Paper: Segmentation Transformer: Object-Contextual Representations for Semantic Segmentation,
    https://arxiv.org/abs/1909.11065
Command: python tools/train.py configs/ocrnet/ocrnet_hr18s_128x128_1500_camvid-240x180.py
    Where the data lies: data.train.data_root, data.val.data_root and data.test.data_root.
Hardware: CPU, 2 cores.
Expected: not measured, neither here nor upstream; ocrnet_small_128x128_1500_camvid-240x180, whose
    network has fewer modules and a narrower head, is.
"""

_base_ = './ocrnet_small_128x128_1500_camvid-240x180.py'
model = dict(
    backbone=dict(extra=dict(stage3=dict(num_modules=3), stage4=dict(num_modules=2))),
    decode_head={1: dict(channels=512, ocr_channels=256)},
)
