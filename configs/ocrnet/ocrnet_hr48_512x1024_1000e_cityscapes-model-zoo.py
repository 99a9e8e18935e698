"""The model zoo's OCRNet recipe (MindSpore) as it is meant: HRNet-W48, Cityscapes, 1000 epochs.

Paper: Segmentation Transformer: Object-Contextual Representations for Semantic Segmentation,
    https://arxiv.org/abs/1909.11065
Command: python tools/train.py configs/ocrnet/ocrnet_hr48_512x1024_1000e_cityscapes-model-zoo.py
Hardware: upstream used 4 Ascend 910 with 3 images each (279 ms a step) or 8 V100; its
    configuration says 4 images.
Expected: mIoU 80.67, which the model zoo reports for its own scripts; not measured here.
Differences from ocrnet_hr48_512x1024_484e_cityscapes-official, from which it was ported:
    - rate 0.0013 / exp(4e-10 * step^2) (its scripts: 0.0012 or 0.0006, and 6e-10), 1000 epochs
    - no biases before normalisation
    - initialisation of the backbone: deviation 0.001, cut at two deviations
    - tests: whole images at one scale
    - downsample_rate in training, for labels smaller than the image, and the OCR head's scale, by
      which it pools pixels before attending; both 1
Not as there: weight decay is applied and gradients are the loss's own, see ...-model-zoo-as-run
    for what its scripts come to; align_corners is True everywhere, there three ways of resizing
    are mixed.
"""

_base_ = [
    '../_base_/models/ocrnet_hr48_official.py',
    '../_base_/datasets/cityscapes_official.py',
    '../_base_/default_runtime.py',
]
init_cfg = dict(type='TruncNormal', std=0.001, a=-0.002, b=0.002, layer='Conv2d')
loss = dict(avg_by_class_weight=True, class_weight={{_base_.class_weight}})
model = dict(
    backbone=dict(init_cfg=init_cfg),
    decode_head={
        '*': dict(conv_bias='auto', loss_decode=loss),
        1: dict(scale=1),
    },
)
downsample_rate = 1
crop_size = (512, 1024)  # (height, width)
data = dict(
    samples_per_gpu=4,
    workers_per_gpu=8,
    train=dict(
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='Resize', img_scale={{_base_.train_scales}}, multiscale_mode='value'),
            dict(type='RandomCrop', crop_size=crop_size),
            dict(type='Pad', size=crop_size, pad_val=0, seg_pad_val=255),
            dict(type='RandomFlip', prob=0.5),
            dict(type='SegRescale', scale_factor=1 / downsample_rate),
            dict(type='Normalize', **{{_base_.img_norm_cfg}}),
            dict(type='DefaultFormatBundle'),
            dict(type='Collect', keys=['img', 'gt_semantic_seg']),
        ]
    ),
)
optimizer = dict(type='SGD', lr=0.0013, momentum=0.9, weight_decay=0.0005)
optimizer_config = dict()
lr_config = dict(policy='gaussian', power=4e-10, by_epoch=False)
runner = dict(type='EpochBasedRunner', max_epochs=1000)
checkpoint_config = dict(by_epoch=True, interval=20, max_keep_ckpts=20)
evaluation = dict(by_epoch=True, interval=50, metric='mIoU', save_best='mIoU')
del init_cfg, loss
