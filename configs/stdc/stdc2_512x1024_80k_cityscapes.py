"""STDC2 from random weights, Cityscapes, crops of 512x1024, 80,000 iterations.

Paper: Rethinking BiSeNet For Real-time Semantic Segmentation, https://arxiv.org/abs/2104.13188
Command: python tools/train.py configs/stdc/stdc2_512x1024_80k_cityscapes.py
Hardware: 4 devices with 12 images each; upstream used 8.27 GB a card.
Expected: mIoU 73.15 on the validation set, 76.13 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""

_base_ = './stdc1_512x1024_80k_cityscapes.py'
model = dict(backbone=dict(backbone_cfg=dict(stdc_type='STDCNet2')))
