"""Mosaics against a slow one that goes pixel by pixel."""

import numpy as np
import pytest

from msseg.datasets.pipelines import RandomMosaic


def sample(value, size=(8, 12)):
    rng = np.random.default_rng(value)
    label = rng.integers(0, 3, size).astype(np.uint8)
    return dict(
        img=rng.integers(0, 256, (*size, 3)).astype(np.uint8),
        gt_semantic_seg=label,
        seg_fields=['gt_semantic_seg'],
        num_classes=3,
    )


def mosaic(others=None, first=None, **options):
    first = first or sample(0)
    others = others or [sample(i) for i in (1, 2, 3)]
    # a range without width fixes the centre, of which y and x have one share
    options = {'img_scale': (8, 12), 'center_ratio_range': (0.75, 0.75), **options}
    rng = np.random.default_rng(0)
    return RandomMosaic(prob=1.0, **options)({**first, 'mix_results': others, 'rng': rng})


def pixel_by_pixel(arrays, centre, limits, value):
    result = np.full((*limits, *arrays[0].shape[2:]), value, arrays[0].dtype)
    for row in range(limits[0]):
        for column in range(limits[1]):
            is_low, is_right = row >= centre[0], column >= centre[1]
            array = arrays[2 * is_low + is_right]
            y = row - centre[0] + (0 if is_low else array.shape[0])
            x = column - centre[1] + (0 if is_right else array.shape[1])
            if 0 <= y < array.shape[0] and 0 <= x < array.shape[1]:
                result[row, column] = array[y, x]
    return result


@pytest.mark.parametrize(('ratio', 'centre'), [(0.75, (6, 9)), (1.5, (12, 18)), (0, (0, 0))])
def test_four_images_meet_at_the_centre(ratio, centre):
    samples = [sample(i) for i in range(4)]
    got = mosaic(samples[1:], samples[0], center_ratio_range=(ratio, ratio), pad_val=7)
    for key, value in (('img', 7), ('gt_semantic_seg', 255)):
        arrays = [each[key] for each in samples]
        expected = pixel_by_pixel(arrays, centre, (16, 24), value)
        np.testing.assert_array_equal(got[key], expected)
    assert got['img_shape'] == got['ori_shape'] == (16, 24, 3)


def test_images_are_resized_to_fit_with_their_ratio():
    got = mosaic(first=sample(0, (4, 3)), center_ratio_range=(1, 1))
    label = got['gt_semantic_seg'][:8, :12]
    assert (label[:, :6] == 255).all()  # 4 x 3 becomes 8 x 6
    small = sample(0, (4, 3))['gt_semantic_seg']
    np.testing.assert_array_equal(label[:, 6:], small.repeat(2, 0).repeat(2, 1))


def test_by_chance_the_sample_stays_as_it_is():
    first = sample(0)
    mixed = {**first, 'mix_results': [sample(1)] * 3, 'rng': np.random.default_rng(0)}
    got = RandomMosaic(prob=0.0)(mixed)
    assert got['img'] is first['img']


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda: RandomMosaic(prob=1.0)(sample(0)), 'use it in the pipeline of a MultiImageMix'),
        (lambda: mosaic([{**sample(1), 'img': np.zeros((8, 12), np.uint8)}] * 3), 'channels'),
        (lambda: mosaic(seg_pad_val=9), 'seg_pad_val is 9, neither ignore_index=255'),
        (lambda: RandomMosaic(prob=2.0), 'prob is 2.0, expected'),
        (lambda: RandomMosaic(prob=1.0, center_ratio_range=(0.5, 2.5)), 'center_ratio_range'),
        (lambda: RandomMosaic(prob=1.0, center_ratio_range=(1.5, 0.5)), 'center_ratio_range'),
    ],
)
def test_what_cannot_be_mixed_is_refused(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert '\n' not in str(caught.value)
