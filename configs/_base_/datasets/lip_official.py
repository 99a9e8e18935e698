"""LIP as OCRNet's authors use it: images squeezed to squares of 473, scales 0.5 to 1.6 of that.

Left and right limbs are exchanged when an image is flipped.
"""

_base_ = './ade20k_official.py'
dataset_type = 'LIPDataset'
data_root = 'data/lip'
crop_size = (473, 473)  # (height, width)
train_scales = [(int(473 * tenths / 10 + 0.5),) * 2 for tenths in range(5, 17)]
swap_seg_labels = [(14, 15), (16, 17), (18, 19)]
common = dict(type=dataset_type, data_root=data_root)
val = dict(
    img_dir='TrainVal_images/val_images',
    ann_dir='TrainVal_parsing_annotations/val_segmentations',
    pipeline={
        1: dict(img_scale=crop_size, transforms={0: dict(keep_ratio=False)}),
    },
    **common,
)
data = dict(
    samples_per_gpu=10,
    train=dict(
        img_dir='TrainVal_images/train_images',
        ann_dir='TrainVal_parsing_annotations/train_segmentations',
        pipeline={
            2: dict(img_scale=train_scales, keep_ratio=False),
            3: dict(crop_size=crop_size),
            4: dict(size=crop_size),
            5: dict(swap_seg_labels=swap_seg_labels),
        },
        **common,
    ),
    val=val,
    test=val,
)
del common, val
