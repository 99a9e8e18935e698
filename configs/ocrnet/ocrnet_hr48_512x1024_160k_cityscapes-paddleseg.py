"""PaddleSeg's recipe for OCRNet on Cityscapes: HRNet-W48, 160,000 iterations.

Paper: Segmentation Transformer: Object-Contextual Representations for Semantic Segmentation,
    https://arxiv.org/abs/1909.11065
Command: python tools/train.py configs/ocrnet/ocrnet_hr48_512x1024_160k_cityscapes-paddleseg.py
Hardware: 4 devices with 2 images each, as upstream.
Expected: mIoU 82.15 on the validation set, 83.02 with scales and flip. That is what PaddleSeg
    reports for its own code and its own weights; not measured here.
Differences from MMSegmentation's ocrnet_hr48_512x1024_160k_cityscapes:
    - the rate falls to 0, not to 1e-4; weight decay 4e-5
    - the loss is the mean over valid pixels
    - scales 0.5 to 2 in steps of 0.25; no limit on a class's share of a crop
    - mean and deviation 127.5 for every channel, padding of that grey
    - biases in the convolutions that open the heads; whole channels dropped (0.1) after the OCR
      head's last 1x1 convolution
    - initialisation: deviation 0.001
Not as there: it starts from weights distilled with unlabelled images (SSLD), which reportedly give
    0.44 more; contrast there is around the image's mean, besides brightness, and padding is
    changed with the colours; several scales are averaged as logits there, as probabilities here.
"""

_base_ = [
    '../_base_/models/ocrnet_hr48.py',
    '../_base_/datasets/cityscapes_paddleseg.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_160k.py',
]
init_cfg = dict(type='Normal', std=0.001, layer='Conv2d')
model = dict(
    backbone=dict(init_cfg=init_cfg),
    decode_head={
        '*': dict(conv_bias=True, init_cfg=init_cfg, loss_decode=dict(avg_non_ignore=True)),
        1: dict(dropout_ratio=0.1),
    },
)
optimizer = dict(weight_decay=4e-5)
lr_config = dict(min_lr=0.0)
del init_cfg
