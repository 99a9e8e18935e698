"""OCRNet on HRNet-W48 as its authors' code HRNet-Semantic-Segmentation has it.

align_corners=True in the backbone's fusion, the heads and the loss; biases before the heads' first
normalisations; whole channels dropped after the OCR head's last 1x1 convolution; the mean over
valid pixels; convolutions of deviation 0.001 in the backbone, PyTorch's own in the heads.
"""

_base_ = './ocrnet_hr48.py'
model = dict(
    backbone=dict(
        align_corners=True,
        init_cfg=dict(type='Normal', std=0.001, layer='Conv2d'),
    ),
    decode_head={
        '*': dict(
            align_corners=True,
            conv_bias=True,
            init_cfg=dict(type='PyTorchDefault', layer='Conv2d'),
            loss_decode=dict(avg_non_ignore=True),
        ),
        1: dict(dropout_ratio=0.05),
    },
)
