"""HRF, vessels of the retina, 2 classes, in crops of 256x256.

``tools/convert_datasets/hrf.py`` makes the folders images/ and annotations/.
"""

_base_ = './drive.py'
dataset_type = 'HRFDataset'
data_root = 'data/HRF'
img_scale = (2336, 3504)  # (width, height)
crop_size = (256, 256)  # (height, width)
common = dict(type=dataset_type, data_root=data_root)
train = dict(
    pipeline={
        2: dict(img_scale=img_scale),
        3: dict(crop_size=crop_size),
        7: dict(size=crop_size),
    },
    **common,
)
val = dict(pipeline={1: dict(img_scale=img_scale)}, **common)
data = dict(train=dict(dataset=train), val=val, test=val)
del common, train, val
