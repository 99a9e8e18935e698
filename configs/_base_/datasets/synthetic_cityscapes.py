"""The synthetic streets of tools/convert_datasets/synthetic_cityscapes.py, 256x512."""

_base_ = './cityscapes.py'
data_root = 'data/synthetic_cityscapes'
img_scale = (512, 256)  # (width, height)
crop_size = (128, 256)  # (height, width)
data = dict(
    samples_per_gpu=8,
    train=dict(
        data_root=data_root,
        pipeline={
            2: dict(img_scale=img_scale, ratio_range=(0.75, 1.5)),
            3: dict(crop_size=crop_size),
            7: dict(size=crop_size),
        },
    ),
    val=dict(data_root=data_root, pipeline={1: dict(img_scale=img_scale)}),
    test=dict(data_root=data_root, pipeline={1: dict(img_scale=img_scale)}),
)
