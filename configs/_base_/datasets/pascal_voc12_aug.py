"""PASCAL VOC 2012 with the additional labels of SBD, 21 classes, in crops of 512x512."""

_base_ = './ade20k.py'
dataset_type = 'PascalVOCDataset'
data_root = 'data/VOCdevkit/VOC2012'
common = dict(type=dataset_type, data_root=data_root, img_dir='JPEGImages')
val = dict(ann_dir='SegmentationClass', split='ImageSets/Segmentation/val.txt', **common)
data = dict(
    train=dict(
        ann_dir=['SegmentationClass', 'SegmentationClassAug'],
        split=['ImageSets/Segmentation/train.txt', 'ImageSets/Segmentation/aug.txt'],
        **common,
    ),
    val=val,
    test=val,
)
del common, val
