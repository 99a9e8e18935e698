"""COCO-Stuff 10k, 171 classes, augmented and tested as ADE20K is by OCRNet's authors."""

_base_ = './ade20k_official.py'
dataset_type = 'COCOStuffDataset'
data_root = 'data/coco_stuff10k'
common = dict(type=dataset_type, data_root=data_root, reduce_zero_label=True)
val = dict(img_dir='images/test2014', ann_dir='annotations/test2014', **common)
data = dict(
    train=dict(img_dir='images/train2014', ann_dir='annotations/train2014', **common),
    val=val,
    test=val,
)
del common, val
