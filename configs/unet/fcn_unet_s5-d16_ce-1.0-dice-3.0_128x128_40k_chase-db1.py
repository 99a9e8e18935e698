"""UNet, cross-entropy and Dice loss, CHASE DB1, crops of 128x128, 40,000 iterations.

Paper: U-Net: Convolutional Networks for Biomedical Image Segmentation,
    https://arxiv.org/abs/1505.04597
Command:
    python tools/train.py configs/unet/fcn_unet_s5-d16_ce-1.0-dice-3.0_128x128_40k_chase-db1.py
Hardware: 4 devices with 4 images each; upstream used 0.986 GB a card.
Expected: Dice of the vessels 80.40 on the validation set. That is what MMSegmentation 0.30
    reports for the same settings in PyTorch; not measured here.
"""

_base_ = './fcn_unet_s5-d16_128x128_40k_chase_db1.py'
model = dict(
    decode_head=dict(
        loss_decode=[
            dict(type='CrossEntropyLoss', loss_name='loss_ce', loss_weight=1.0),
            dict(type='DiceLoss', loss_name='loss_dice', loss_weight=3.0),
        ]
    )
)
