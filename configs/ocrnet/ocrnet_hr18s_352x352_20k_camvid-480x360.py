"""OCRNet on HRNet-W18-small, CamVid at half size, crops of 352x352, 20,000 iterations.

Paper: Segmentation Transformer: Object-Contextual Representations for Semantic Segmentation,
    https://arxiv.org/abs/1909.11065
Command: python tools/train.py configs/ocrnet/ocrnet_hr18s_352x352_20k_camvid-480x360.py
    Where the data lies: data.train.data_root, data.val.data_root and data.test.data_root.
Hardware: one GPU or Ascend device with 8 images.
Expected: not measured, neither here nor upstream.
"""

_base_ = [
    '../_base_/models/ocrnet_hr18s.py',
    '../_base_/datasets/camvid.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_20k.py',
]
model = dict(decode_head={'*': dict(num_classes=11, loss_decode=dict(avg_non_ignore=True))})
