"""UNet, Cityscapes, crops of 512x1024, 160,000 iterations.

Paper: U-Net: Convolutional Networks for Biomedical Image Segmentation,
    https://arxiv.org/abs/1505.04597
Command: python tools/train.py configs/unet/fcn_unet_s5-d16_4x4_512x1024_160k_cityscapes.py
Hardware: 4 devices with 4 images each; upstream used 17.91 GB a card.
Expected: mIoU 69.10 on the validation set, 71.05 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""

_base_ = [
    '../_base_/models/fcn_unet_s5-d16.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_160k.py',
]
model = dict(
    decode_head=dict(num_classes=19),
    auxiliary_head=dict(num_classes=19),
    test_cfg=dict(mode='whole'),
)
data = dict(samples_per_gpu=4, workers_per_gpu=4)
