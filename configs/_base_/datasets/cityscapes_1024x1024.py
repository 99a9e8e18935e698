"""Cityscapes in crops of 1024x1024."""

_base_ = './cityscapes.py'
crop_size = (1024, 1024)  # (height, width)
data = dict(train=dict(pipeline={3: dict(crop_size=crop_size), 7: dict(size=crop_size)}))
