"""OCRNet trained with region mutual information, after NVIDIA: HRNet-W48, Cityscapes, 175 epochs.

Paper: Segmentation Transformer: Object-Contextual Representations for Semantic Segmentation,
    https://arxiv.org/abs/1909.11065
    Region Mutual Information Loss for Semantic Segmentation, https://arxiv.org/abs/1910.12037
Command: python tools/train.py configs/ocrnet/ocrnet_hr48_1024x2048_175e_cityscapes-nvidia-rmi.py
Hardware: 8 devices with 1 image each, as upstream (with 32 GB).
Expected: not measured, neither here nor upstream in this form. This loss is reported to add 1.0 to
    1.1 mIoU to OCRNet (openseg with SSLD weights: 82.6).
Differences from MMSegmentation's ocrnet_hr48_512x1024_160k_cityscapes:
    - region mutual information and sigmoid cross-entropy in the OCR head, the latter alone in the
      auxiliary head
    - crops of 1024x2048; milder changes of colour; no limit on a class's share of a crop
    - rate 0.005 for 8 images (0.01 for 16), falling with power 2 to 0 once an epoch, 175 epochs;
      weight decay 1e-4
    - biases in the convolutions that open the heads; whole channels dropped (0.05) after the OCR
      head's last 1x1 convolution
    - initialisation: PyTorch's own
Not as there: one scale, without the learned attention over scales; it starts from ImageNet's
    weights, there from Mapillary's; brightness and contrast are one factor here.
"""

_base_ = [
    '../_base_/models/ocrnet_hr48.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_official.py',
]
init_cfg = dict(type='PyTorchDefault', layer='Conv2d')
auxiliary = dict(_delete_=True, type='RMILoss', do_rmi=False, loss_weight=0.4)
model = dict(
    backbone=dict(init_cfg=init_cfg),
    decode_head={
        '*': dict(conv_bias=True, init_cfg=init_cfg),
        0: dict(loss_decode=auxiliary),
        1: dict(dropout_ratio=0.05, loss_decode=dict(_delete_=True, type='RMILoss')),
    },
)
crop_size = (1024, 2048)  # (height, width)
data = dict(
    samples_per_gpu=1,
    train=dict(
        pipeline={
            3: dict(crop_size=crop_size, cat_max_ratio=1.0),
            5: dict(
                brightness_delta=0,
                contrast_range=(0.75, 1.25),
                saturation_range=(0.75, 1.25),
                hue_delta=45,
            ),
            7: dict(size=crop_size),
        }
    ),
)
optimizer = dict(lr=0.005, weight_decay=0.0001)
lr_config = dict(power=2.0, by_epoch=True)
runner = dict(max_epochs=175)
del init_cfg, auxiliary
