"""What exported files say of the test pipeline, and what of it they cannot."""

import pytest

from msseg.config import Config
from msseg.deploy.metadata import Preprocessing
from msseg.export.describe import describe_preprocessing

NORMALIZE = dict(type='Normalize', mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0], to_rgb=False)
LOAD = dict(type='LoadImageFromFile')
NUMBERS = dict(included=False, to_rgb=False, mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0))


def describe(*steps):
    return describe_preprocessing(Config({'data': {'test': {'pipeline': list(steps)}}}), False)


def augmented(*steps, **options):
    return dict(type='MultiScaleFlipAug', transforms=list(steps), **options)


@pytest.mark.parametrize(
    ('steps', 'expected'),
    [
        ([LOAD, NORMALIZE], {}),
        ([LOAD, augmented(NORMALIZE, img_scale=(64, 48))], {}),
        ([LOAD, augmented(dict(type='Resize'), NORMALIZE, img_scale=(64, 48))],
         {'scale': (64, 48)}),
        ([LOAD, augmented(dict(type='Resize', keep_ratio=False), NORMALIZE, img_scale=(64, 48),
                          img_ratios=0.5)],
         {'scale': (32, 24), 'keep_ratio': False}),
        ([LOAD, augmented(dict(type='Resize'), dict(type='RandomFlip'), NORMALIZE,
                          img_ratios=[1.5])],
         {'ratio': 1.5}),
        ([LOAD, dict(type='Resize', img_scale=[(64, 48)]), NORMALIZE], {'scale': (64, 48)}),
    ],
)  # fmt: skip
def test_resizing_and_normalising_are_described(steps, expected):
    assert describe(*steps) == Preprocessing(**NUMBERS, **expected)


@pytest.mark.parametrize(
    ('steps', 'message'),
    [
        ([LOAD], 'has no Normalize'),
        ([LOAD, NORMALIZE, dict(type='Pad', size_divisor=32)], 'has Pad, which programs that run'),
        ([dict(LOAD, imdecode_backend='pillow'), NORMALIZE], "imdecode_backend='pillow'"),
        ([LOAD, dict(type='Resize', min_size=9), NORMALIZE], 'min_size=9'),
        ([LOAD, augmented(NORMALIZE, img_ratios=[1.0, 2.0])], 'averages over scales or flips'),
        ([LOAD, augmented(NORMALIZE, img_scale=(8, 8), flip=True)], 'averages over scales or f'),
        ([LOAD, augmented(NORMALIZE, img_ratios=[0.5], rounds_sizes=True)], 'rounds sizes to'),
        ([LOAD, dict(type='Resize', img_scale=[(8, 8), (9, 9)]), NORMALIZE], 'runs at one scale'),
    ],
)
def test_what_exported_files_cannot_is_told(steps, message):
    with pytest.raises(ValueError, match=message):
        describe(*steps)


@pytest.mark.parametrize(
    'options',
    [
        dict(color_type='grayscale'),
        dict(color_type='unchanged', max_value=4095),
        dict(percentiles=(1, 99)),
    ],
)
def test_how_images_are_loaded_is_described(options):
    found = describe(dict(LOAD, **options), NORMALIZE)
    assert found == Preprocessing(**NUMBERS, **options)
    assert (found.format_version, describe(LOAD, NORMALIZE).format_version) == (2, 1)


@pytest.mark.parametrize(
    'options',
    [
        dict(bands=[4, 3, 2], fill=[1.0, 2.0, 3.0], color_type='unchanged'),
        dict(nodata=None),
        dict(nodata=-9999, nodata_rule='all'),
        dict(array='img'),
    ],
)
def test_bands_and_what_is_no_data_are_described(options):
    found = describe(dict(LOAD, **options), NORMALIZE)
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    assert found == Preprocessing(**NUMBERS, **plain)
    assert found.format_version == 3
    assert {key: getattr(found.loading, key) for key in plain} == plain


def test_bands_alone_are_loaded_unchanged():
    assert describe(dict(LOAD, bands=[1, 2, 3]), NORMALIZE).color_type == 'unchanged'


def test_a_file_of_bytes_takes_no_scaled_values():
    steps = [dict(LOAD, max_value=4095), NORMALIZE]
    with pytest.raises(ValueError, match='leave --include-preprocessing out'):
        describe_preprocessing(Config({'data': {'test': {'pipeline': steps}}}), True)
