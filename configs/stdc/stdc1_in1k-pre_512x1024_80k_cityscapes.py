"""STDC1, Cityscapes, crops of 512x1024, 80,000 iterations.

Paper: Rethinking BiSeNet For Real-time Semantic Segmentation, https://arxiv.org/abs/2104.13188
Command: python tools/train.py configs/stdc/stdc1_in1k-pre_512x1024_80k_cityscapes.py
Hardware: 4 devices with 12 images each.
Expected: mIoU 74.94 on the validation set, 76.97 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""

_base_ = './stdc1_512x1024_80k_cityscapes.py'
pretrain = 'https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/stdc'
pretrained = dict(type='Pretrained', checkpoint=f'{pretrain}/stdc1_20220308-5368626c.pth')
model = dict(backbone=dict(backbone_cfg=dict(init_cfg=pretrained)))
del pretrain, pretrained
