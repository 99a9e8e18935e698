"""PASCAL-Context, 59 classes, augmented as ADE20K is by the authors; long edge 520 in tests."""

_base_ = './ade20k_official.py'
dataset_type = 'PascalContextDataset59'
data_root = 'data/VOCdevkit/VOC2010/'
common = dict(
    type=dataset_type,
    data_root=data_root,
    img_dir='JPEGImages',
    ann_dir='SegmentationClassContext',
)
val = dict(
    split='ImageSets/SegmentationContext/val.txt',
    pipeline={1: dict(img_scale=(520, 520))},
    **common,
)
data = dict(
    train=dict(split='ImageSets/SegmentationContext/train.txt', **common),
    val=val,
    test=val,
)
del common, val
