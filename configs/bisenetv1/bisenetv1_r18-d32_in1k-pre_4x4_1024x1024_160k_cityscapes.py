"""BiSeNetV1 on ResNet-18, Cityscapes, crops of 1024x1024, 160,000 iterations.

Paper: BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation,
    https://arxiv.org/abs/1808.00897
Command:
    python tools/train.py configs/bisenetv1/bisenetv1_r18-d32_in1k-pre_4x4_1024x1024_160k_cityscapes.py
Hardware: 4 devices with 4 images each; upstream used 5.69 GB a card.
Expected: mIoU 74.37 on the validation set, 76.91 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""  # noqa: E501

_base_ = './bisenetv1_r18-d32_4x4_1024x1024_160k_cityscapes.py'
pretrained = dict(type='Pretrained', checkpoint='open-mmlab://resnet18_v1c')
model = dict(backbone=dict(backbone_cfg=dict(init_cfg=pretrained)))
del pretrained
