"""Each wrong argument is an error that says whose it is and what was expected."""

import pytest

from msseg.datasets.builder import PIPELINES
from msseg.registry import build_from_cfg

WRONG = [
    (
        'LoadImageFromFile',
        dict(color_type='colour'),
        r"color_type is 'colour'.*Did you mean 'color'",
    ),
    ('LoadImageFromFile', dict(imdecode_backend='turbojpeg'), r"expected one of \['cv2', 'pillow'"),
    (
        'LoadImageFromFile',
        dict(file_client_args=dict(backend='petrel')),
        'read from the local disk',
    ),
    ('LoadAnnotations', dict(imdecode_backend='tifffile'), 'imdecode_backend'),
    ('LoadAnnotations', dict(file_client_args=dict(backend='lmdb')), 'read from the local disk'),
    (
        'Resize',
        dict(img_scale=(0, 5)),
        r'img_scale is \(0, 5\), expected \(w, h\), 2 values, each a whole',
    ),
    ('Resize', dict(img_scale='big'), r'expected \(w, h\), 2 values.*or a list'),
    ('Resize', dict(img_scale=(5, 5), multiscale_mode='values'), "Did you mean 'value'"),
    ('Resize', dict(img_scale=[(5, 5)] * 3), 'draws between two scales'),
    ('Resize', dict(ratio_range=(2.0, 0.5)), r'expected \(smallest, largest\)'),
    ('Resize', dict(img_scale=[(5, 5), (6, 6)], ratio_range=(1, 2)), 'goes with one img_scale'),
    ('RandomCrop', dict(crop_size=(0, 4)), r'crop_size is \(0, 4\), expected \(h, w\)'),
    ('RandomCrop', dict(crop_size=4), 'crop_size is 4'),
    ('RandomCrop', dict(crop_size=(4, 4), cat_max_ratio=2), 'cat_max_ratio is 2'),
    ('RandomFlip', dict(prob=1.5), 'prob is 1.5, expected a number from 0 to 1'),
    ('RandomFlip', dict(prob=0.5, direction='diagonal'), r"\['horizontal', 'vertical'\]"),
    ('RandomFlip', dict(prob=0.5, flip_ratio=0.5), 'old name of prob'),
    ('Pad', {}, 'give exactly one of them'),
    ('Pad', dict(size=(4, 4), size_divisor=2), 'give exactly one of them'),
    ('Pad', dict(size_divisor=0), 'size_divisor is 0'),
    ('Normalize', dict(mean=[1, 2, 3], std=[1, 2]), 'one number for each channel'),
    (
        'Normalize',
        dict(mean=[1, 2, 3], std=[1, 0, 1]),
        r'std is \[1, 0, 1\], expected a list, each a number above 0',
    ),
    (
        'PhotoMetricDistortion',
        dict(contrast_range=(2, 1)),
        r'contrast_range is \(2, 1\), expected \(smallest, largest\)',
    ),
    ('RandomRotate', dict(prob=0.5, degree=-3), 'degree is -3, expected a number above 0'),
    ('RandomRotate', dict(prob=0.5, degree=3, center=(1, 1), auto_bound=True), 'conflicts'),
    ('RandomCutOut', dict(prob=1, n_holes=1), 'exactly one of cutout_shape and cutout_ratio'),
    ('RandomCutOut', dict(prob=1, n_holes=(3, 1), cutout_shape=(2, 2)), r'n_holes is \(3, 1\)'),
    ('RandomCutOut', dict(prob=1, n_holes=1, cutout_shape=(2, 2), seg_fill_in=0.5), '0.5'),
    ('RandomCutOut', dict(prob=1, n_holes=1, cutout_shape=[]), 'cutout_shape is .*, not empty'),
    ('CLAHE', dict(clip_limit='4'), "clip_limit is '4'"),
    ('CLAHE', dict(tile_grid_size=(8,)), 'tile_grid_size'),
    ('AdjustGamma', dict(gamma=0), 'gamma is 0'),
    ('RGB2Gray', dict(out_channels=0), 'out_channels is 0'),
    ('RGB2Gray', dict(weights=3), 'weights is 3'),
    ('Rerange', dict(min_value=3, max_value=3), 'the first below the second'),
    ('SegRescale', dict(scale_factor=0), 'scale_factor is 0'),
    ('ResizeToMultiple', dict(interpolation='bilinaer'), "Did you mean 'bilinear'"),
    ('MultiScaleFlipAug', dict(transforms=[], img_scale=None), 'give img_ratios'),
    (
        'MultiScaleFlipAug',
        dict(transforms=[], img_scale=None, img_ratios=[0]),
        'each a number above 0',
    ),
    (
        'MultiScaleFlipAug',
        dict(transforms=[], img_scale=[(4, 4), (8, 8)], img_ratios=[1.0]),
        'goes with one img_scale',
    ),
    (
        'MultiScaleFlipAug',
        dict(transforms=[], img_scale=(4, 4), flip=True, flip_direction='diagonal'),
        'flip_direction',
    ),
    (
        'MultiScaleFlipAug',
        dict(
            transforms=[dict(type='Pad', size_divisor=4), dict(type='RandomFlip')],
            img_scale=(4, 4),
            flip=True,
        ),
        'Pad stands before RandomFlip',
    ),
]


@pytest.mark.parametrize('name, arguments, message', WRONG)
def test_wrong_argument_is_explained(name, arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        build_from_cfg(dict(type=name, **arguments), PIPELINES)

    assert name in str(error.value)


def test_pipeline_of_something_else():
    for wrong in ('Resize', 3):
        with pytest.raises(
            TypeError, match='transforms is .*expected a list, each a dict, or a function'
        ):
            build_from_cfg(dict(type='Compose', transforms=wrong), PIPELINES)
    with pytest.raises(TypeError, match=r'transforms is \[3\], expected a list, each a dict'):
        build_from_cfg(dict(type='Compose', transforms=[3]), PIPELINES)


def test_misspelt_transform_and_argument():
    with pytest.raises(KeyError, match="Did you mean 'RandomFlip'"):
        build_from_cfg(dict(type='RandomFilp'), PIPELINES)
    with pytest.raises(TypeError, match="Did you mean 'crop_size'"):
        build_from_cfg(dict(type='RandomCrop', cropsize=(3, 3)), PIPELINES)
