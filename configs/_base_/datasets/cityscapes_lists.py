"""Cityscapes in the model zoo's layout: train.lst and val.lst name images and labelIds files."""

_base_ = './cityscapes.py'
data = dict(
    train=dict(img_dir=None, ann_dir=None, split='train.lst'),
    val=dict(img_dir=None, ann_dir=None, split='val.lst'),
    test=dict(img_dir=None, ann_dir=None, split='val.lst'),
)
