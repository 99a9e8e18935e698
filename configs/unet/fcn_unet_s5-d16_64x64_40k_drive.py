"""UNet, DRIVE, crops of 64x64, 40,000 iterations.

Paper: U-Net: Convolutional Networks for Biomedical Image Segmentation,
    https://arxiv.org/abs/1505.04597
Command: python tools/train.py configs/unet/fcn_unet_s5-d16_64x64_40k_drive.py
Hardware: 4 devices with 4 images each; upstream used 0.68 GB a card.
Expected: Dice of the vessels 78.67 on the validation set. That is what MMSegmentation 0.30
    reports for the same settings in PyTorch; not measured here.
"""

_base_ = [
    '../_base_/models/fcn_unet_s5-d16.py',
    '../_base_/datasets/drive.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
model = dict(test_cfg=dict(crop_size=(64, 64), stride=(42, 42)))
evaluation = dict(metric='mDice')
