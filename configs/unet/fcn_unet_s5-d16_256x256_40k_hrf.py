"""UNet, HRF, crops of 256x256, 40,000 iterations.

Paper: U-Net: Convolutional Networks for Biomedical Image Segmentation,
    https://arxiv.org/abs/1505.04597
Command: python tools/train.py configs/unet/fcn_unet_s5-d16_256x256_40k_hrf.py
Hardware: 4 devices with 4 images each; upstream used 2.525 GB a card.
Expected: Dice of the vessels 79.45 on the validation set. That is what MMSegmentation 0.30
    reports for the same settings in PyTorch; not measured here.
"""

_base_ = [
    '../_base_/models/fcn_unet_s5-d16.py',
    '../_base_/datasets/hrf.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]
model = dict(test_cfg=dict(crop_size=(256, 256), stride=(170, 170)))
evaluation = dict(metric='mDice')
