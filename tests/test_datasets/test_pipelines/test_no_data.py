"""Pixels without data in training and in scores; distortions of bands."""

import logging

import numpy as np
import pytest
from PIL import Image

from msseg.datasets import CustomDataset
from msseg.datasets.pipelines import BandDistortion, Pad, PhotoMetricDistortion, RandomRotate

RNG = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path):
    image = RNG.random((6, 8, 5)).astype(np.float32)
    image[:2, :3] = np.nan
    image[5, 7, 0] = -1
    np.save(tmp_path / 'a.npy', image)
    Image.fromarray(np.ones((6, 8), np.uint8)).save(tmp_path / 'a.png')
    return tmp_path


def dataset_of(folder, steps=None, **settings):
    load = dict(type='LoadImageFromFile', color_type='unchanged', **settings)
    steps = steps or [load, dict(type='LoadAnnotations')]
    return CustomDataset(steps, folder, '.npy', folder, classes=['a', 'b'])


@pytest.mark.parametrize(('nodata', 'ignored'), [('file', 6), (-1, 7), (None, 6)])
def test_neither_loss_nor_scores_count_pixels_without_data(folder, nodata, ignored):
    dataset = dataset_of(folder, nodata=nodata)
    sample = dataset[0]
    assert np.isfinite(sample['img']).all() and sample['no_data'].sum() == ignored
    for label in (sample['gt_semantic_seg'], dataset.get_gt_seg_map(0)):
        assert (label == 255).sum() == ignored and (label[:2, :3] == 255).all()
        assert label.dtype == np.uint8


def test_labels_that_are_loaded_first_are_ignored_too(folder):
    load = dict(type='LoadImageFromFile', color_type='unchanged')
    label = dataset_of(folder, [dict(type='LoadAnnotations'), load])[0]['gt_semantic_seg']
    assert (label == 255).sum() == 6


def test_an_ignore_index_below_0_is_kept(folder):
    load = dict(type='LoadImageFromFile', color_type='unchanged')
    dataset = CustomDataset(
        [load, dict(type='LoadAnnotations')], folder, '.npy', folder, classes=['a', 'b'],
        ignore_index=-1,
    )  # fmt: skip
    assert (dataset[0]['gt_semantic_seg'] == -1).sum() == 6
    assert (dataset.get_gt_seg_map(0) == -1).sum() == 6


@pytest.mark.parametrize('scale', [1.0, 10000.0])
@pytest.mark.parametrize('seed', range(4))
def test_bands_change_alike_on_every_scale(scale, seed):
    img = RNG.random((12, 10, 6)) * [1, 2, 3, 4, 5, 6]
    one, scaled = (
        BandDistortion()(dict(img=(img * s).astype('f4'), rng=np.random.default_rng(seed)))['img']
        for s in (1.0, scale)
    )
    np.testing.assert_allclose(scaled / scale, one, rtol=1e-4, atol=1e-4)


def test_each_change_of_bands_is_what_it_says():
    img = (RNG.random((12, 10, 3)) * [1, 2, 3]).astype('f4')
    changes = []
    for seed in range(40):
        out = BandDistortion(0.5, (0.5, 0.5), 0)(dict(img=img, rng=np.random.default_rng(seed)))
        factor = out['img'].std((0, 1)) / img.std((0, 1))
        shift = (out['img'] - img).mean((0, 1)) / img.std((0, 1))
        np.testing.assert_allclose(factor, factor[0], rtol=1e-3)
        np.testing.assert_allclose(shift, shift[0], atol=1e-3)
        changes.append((round(float(factor[0]), 2), abs(float(shift[0]))))
    assert {factor for factor, _ in changes} == {0.5, 1.0}
    assert min(shift for _, shift in changes) < 1e-6 < 0.2 < max(s for _, s in changes) <= 0.5


@pytest.mark.parametrize('dtype', ['uint8', 'uint16', 'int16'])
def test_whole_numbers_stay_whole_and_in_range(dtype):
    limits = np.iinfo(dtype)
    img = RNG.integers(limits.min, limits.max, (12, 10, 4), endpoint=True).astype(dtype)
    for seed in range(6):
        out = BandDistortion(2, (2, 3))(dict(img=img.copy(), rng=np.random.default_rng(seed)))
        assert out['img'].dtype == dtype
    grey = BandDistortion(1, (2, 3))(dict(img=img[..., 0], rng=np.random.default_rng(1)))
    assert grey['img'].shape == (12, 10)


def test_hue_and_saturation_are_refused_for_bands():
    with pytest.raises(ValueError, match='use BandDistortion for other channels'):
        PhotoMetricDistortion()(dict(img=np.zeros((4, 4, 6), np.uint8)))


@pytest.mark.parametrize('channels', [1, 3, 4, 5, 9])
@pytest.mark.parametrize(
    'transform',
    [lambda **v: Pad(size=(22, 23), **v), lambda **v: RandomRotate(1.0, (45.0, 45.0), **v)],
)
def test_each_of_any_channels_has_its_border(channels, transform):
    img = np.ones((20, 21, channels), np.float32)
    values = [float(i + 2) for i in range(channels)]
    for value in (values, 5.0):
        out = transform(pad_val=value)(dict(img=img, rng=np.random.default_rng(0)))['img']
        corner = out.reshape(*out.shape[:2], -1)[-1, -1]
        assert corner.tolist() == (values if value is values else [5.0] * channels)
    with pytest.raises(ValueError, match=f'has {channels + 1} numbers, but the image has'):
        transform(pad_val=[*values, 1.0])(dict(img=img, rng=np.random.default_rng(0)))


def test_fractions_among_transforms_for_bytes_are_said(caplog):
    img = RNG.random((4, 4, 3)).astype(np.float32)
    with caplog.at_level(logging.WARNING, logger='msseg'):
        PhotoMetricDistortion()(dict(img=img, rng=np.random.default_rng(0)))
    assert 'BandDistortion, which takes any scale' in caplog.text
