"""A small OCRNet from scratch on CamVid at 240x180: 1500 iterations of 8 crops of 128x128.

Paper: Segmentation Transformer: Object-Contextual Representations for Semantic Segmentation,
    https://arxiv.org/abs/1909.11065
Command: python tools/train.py configs/ocrnet/ocrnet_small_128x128_1500_camvid-240x180.py
    Where the data lies: data.train.data_root, data.val.data_root and data.test.data_root.
Hardware: CPU, 2 cores.
Expected: mIoU of at least 0.33 on the validation set. MMSegmentation in PyTorch reached 0.360 in
    the same setting.
"""

_base_ = [
    '../_base_/models/ocrnet_small.py',
    '../_base_/datasets/camvid.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_20k.py',
]
img_scale = (240, 180)  # (width, height)
crop_size = (128, 128)  # (height, width)
model = dict(decode_head={'*': dict(num_classes=11, loss_decode=dict(avg_non_ignore=True))})
data = dict(
    train=dict(
        pipeline={
            2: dict(img_scale=img_scale),
            3: dict(crop_size=crop_size, cat_max_ratio=0.95),
            7: dict(size=crop_size),
        }
    ),
    val=dict(pipeline={1: dict(img_scale=img_scale)}),
    test=dict(pipeline={1: dict(img_scale=img_scale)}),
)
optimizer = dict(lr=0.02)
runner = dict(max_iters=1500)
checkpoint_config = dict(interval=500, max_keep_ckpts=1)
evaluation = dict(interval=500, save_best='mIoU')
