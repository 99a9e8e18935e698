"""UNet of a quarter of its width, nuclei in microscopy images, 80 iterations from random weights.

Paper: U-Net: Convolutional Networks for Biomedical Image Segmentation,
    https://arxiv.org/abs/1505.04597
Command: python tools/train.py configs/demo/unet_nuclei.py
Hardware: CPU, one core, some minutes.
Expected: mIoU 0.606 on the validation images, measured here (MindSpore 2.8.0, seed 0);
    MMSegmentation 0.30 reached 0.741 with the same settings.
"""

_base_ = [
    '../_base_/models/fcn_unet_s5-d16.py',
    '../_base_/datasets/nuclei.py',
    '../_base_/schedules/schedule_nuclei.py',
]
model = dict(
    backbone=dict(base_channels=16),
    decode_head=dict(in_channels=16),
    auxiliary_head=dict(in_channels=32),
    test_cfg=dict(crop_size=(128, 128), stride=(128, 128)),
)
