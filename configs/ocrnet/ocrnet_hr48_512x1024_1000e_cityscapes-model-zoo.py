"""The recipe of the MindSpore model zoo's OCRNet in outline: HRNet-W48, Cityscapes, 1000 epochs.

Paper: Segmentation Transformer: Object-Contextual Representations for Semantic Segmentation,
    https://arxiv.org/abs/1909.11065
Command: python tools/train.py configs/ocrnet/ocrnet_hr48_512x1024_1000e_cityscapes-model-zoo.py
Hardware: upstream used 4 Ascend 910 with 3 images each (279 ms a step) or 8 V100.
Expected: mIoU 80.67, which the model zoo reports for its own scripts; not measured here.

It follows the recipe's intention, not two slips of its scripts: there the weight decay of 5e-4 is
passed as dampening, so none is applied, and gradients are ten times too large through a loss scale
that is not undone. The class-weighted loss is averaged over the valid pixels; there it is divided
by the sum of their weights.
"""

_base_ = [
    '../_base_/models/ocrnet_hr48.py',
    '../_base_/datasets/cityscapes_lists.py',
    '../_base_/default_runtime.py',
]
model = dict(
    decode_head={
        '*': dict(
            align_corners=True,
            loss_decode=dict(
                avg_non_ignore=True,
                # fmt: off
                class_weight=[
                    0.8373,
                    0.918,
                    0.866,
                    1.0345,
                    1.0166,
                    0.9969,
                    0.9754,
                    1.0489,
                    0.8786,
                    1.0023,
                    0.9539,
                    0.9843,
                    1.1116,
                    0.9037,
                    1.0865,
                    1.0955,
                    1.0865,
                    1.1529,
                    1.0507,
                ],
                # fmt: on
            ),
        ),
        1: dict(dropout_ratio=0.05),
    }
)
# 0.5 to 2.1 of 2048x1024 in steps of 0.1; a crop beyond the image is filled with black
scales = [(2048 * tenths // 10, 1024 * tenths // 10) for tenths in range(5, 22)]
crop_size = (512, 1024)  # (height, width)
data = dict(
    samples_per_gpu=4,
    workers_per_gpu=8,
    train=dict(
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='Resize', img_scale=scales, multiscale_mode='value'),
            dict(type='RandomCrop', crop_size=crop_size),
            dict(type='RandomFlip', prob=0.5),
            dict(type='Pad', size=crop_size, pad_val=0, seg_pad_val=255),
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
del scales
