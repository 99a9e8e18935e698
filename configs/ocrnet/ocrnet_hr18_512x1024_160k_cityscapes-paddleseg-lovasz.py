"""PaddleSeg's OCRNet with Lovász loss on Cityscapes: HRNet-W18, 160,000 iterations.

Paper: Segmentation Transformer: Object-Contextual Representations for Semantic Segmentation,
    https://arxiv.org/abs/1909.11065
    The Lovász-Softmax loss, https://arxiv.org/abs/1705.08790
Command:
    python tools/train.py configs/ocrnet/ocrnet_hr18_512x1024_160k_cityscapes-paddleseg-lovasz.py
Hardware: 4 devices with 2 images each, as upstream.
Expected: mIoU 81.53 on the validation set, where cross-entropy alone gives 80.46. That is reported
    for PaddleSeg's own code and its own weights; not measured here.
Differences from ocrnet_hr48_512x1024_160k_cityscapes-paddleseg:
    - HRNet-W18
    - in each head 0.8 of cross-entropy and 0.2 of Lovász-softmax over the batch
"""

_base_ = [
    '../_base_/models/ocrnet_hr18.py',
    '../_base_/datasets/cityscapes_paddleseg.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_160k.py',
]
init_cfg = dict(type='Normal', std=0.001, layer='Conv2d')
aux_loss = [
    dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=0.4 * 0.8),
    dict(type='LovaszLoss', reduction='none', loss_weight=0.4 * 0.2),
]
loss = [
    dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=0.8),
    dict(type='LovaszLoss', reduction='none', loss_weight=0.2),
]
model = dict(
    backbone=dict(init_cfg=init_cfg),
    decode_head={
        '*': dict(conv_bias=True, init_cfg=init_cfg),
        0: dict(loss_decode=aux_loss),
        1: dict(dropout_ratio=0.1, loss_decode=loss),
    },
)
optimizer = dict(weight_decay=4e-5)
lr_config = dict(min_lr=0.0)
del init_cfg, aux_loss, loss
