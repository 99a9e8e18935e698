"""UNet, CHASE DB1, crops of 128x128, 40,000 iterations.

Paper: U-Net: Convolutional Networks for Biomedical Image Segmentation,
    https://arxiv.org/abs/1505.04597
Command: python tools/train.py configs/unet/fcn_unet_s5-d16_128x128_40k_chase_db1.py
Hardware: 4 devices with 4 images each; upstream used 0.968 GB a card.
Expected: Dice of the vessels 80.24 on the validation set. That is what MMSegmentation 0.30
    reports for the same settings in PyTorch; not measured here.
"""

_base_ = [
    '../_base_/models/fcn_unet_s5-d16.py',
    '../_base_/datasets/chase_db1.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
model = dict(test_cfg=dict(crop_size=(128, 128), stride=(85, 85)))
evaluation = dict(metric='mDice')
