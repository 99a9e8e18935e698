"""Cityscapes from train.lst and val.lst, augmented as OCRNet's authors do.

The long edge becomes 0.5 to 2.1 of 2048, in steps of 0.1; a crop that the image does not fill is
filled with black, before normalisation and before flipping; colours stay as they are.
class_weight is for their loss.
"""

_base_ = './cityscapes_lists.py'
crop_size = (512, 1024)  # (height, width)
# A square gives the long edge; halves round up.
train_scales = [(int(2048 * tenths / 10 + 0.5),) * 2 for tenths in range(5, 22)]
class_weight = [
    0.8373, 0.918, 0.866, 1.0345, 1.0166, 0.9969, 0.9754, 1.0489, 0.8786, 1.0023,
    0.9539, 0.9843, 1.1116, 0.9037, 1.0865, 1.0955, 1.0865, 1.1529, 1.0507,
]  # fmt: skip
data = dict(
    samples_per_gpu=3,
    workers_per_gpu=4,
    train=dict(
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='Resize', img_scale=train_scales, multiscale_mode='value'),
            dict(type='RandomCrop', crop_size=crop_size),
            dict(type='Pad', size=crop_size, pad_val=0, seg_pad_val=255),
            dict(type='RandomFlip', prob=0.5),
            dict(type='Normalize', **{{_base_.img_norm_cfg}}),
            dict(type='DefaultFormatBundle'),
            dict(type='Collect', keys=['img', 'gt_semantic_seg']),
        ]
    ),
)
