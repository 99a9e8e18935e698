"""Counts, class weights, mean and standard deviation against plain numpy."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from msseg.checks.data import check_dataset, format_report
from msseg.checks.data.file_scan import scan_image
from msseg.checks.data.report import (
    default_beta,
    effective_number_weights,
    median_frequency_weights,
    normalisation_of,
)
from msseg.config import Config
from msseg.datasets.pipelines import Compose
from msseg.utils.image_loading import ImageLoading
from tests.geotiff import write_geotiff
from tests.test_datasets.data_folder import config

SIZES = [(20, 30), (33, 21), (8, 64), (20, 30)]


@pytest.fixture
def root(tmp_path):
    """Four images of different sizes; class 2 is in two labels, and a tenth does not count."""
    rng = np.random.default_rng(0)
    for kind in ('img', 'ann'):
        (tmp_path / kind / 'train').mkdir(parents=True)
    for i, size in enumerate(SIZES):
        img = rng.integers(0, 60 * (i + 1), (*size, 3)).astype(np.uint8)
        label = rng.choice(
            [0, 1, 1, 255] if i < 2 else [0, 1, 2, 255], size, p=[0.6, 0.2, 0.1, 0.1]
        )
        cv2.imwrite(str(tmp_path / f'img/train/{i}.png'), img)
        cv2.imwrite(str(tmp_path / f'ann/train/{i}.png'), label.astype(np.uint8))
    return tmp_path


def report_of(root, **changes):
    cfg = config(root, img_suffix='.png', **changes)
    return check_dataset(Config(dict(data=dict(train=cfg))), workers=0)


def labels_of(root):
    return [cv2.imread(str(root / f'ann/train/{i}.png'), -1) for i in range(len(SIZES))]


def test_counts(root):
    split = report_of(root).splits[0]
    labels = labels_of(root)

    for value in (0, 1, 2, 255):
        assert split.statistics.pixels[value] == sum(int((a == value).sum()) for a in labels)
        assert split.statistics.num_images[value] == sum(bool((a == value).any()) for a in labels)
    assert split.statistics.sizes == {(20, 30): 2, (33, 21): 1, (8, 64): 1}
    assert split.statistics.image_forms == {'PNG RGB, 8 bits': 4}
    text = format_report(report_of(root))
    assert '20x30 (2), 33x21 (1), 8x64 (1)' in text
    assert '|   255 | does not count |' in text


def test_median_frequency_balancing(root):
    frequencies = []
    for k in range(3):
        having = [a for a in labels_of(root) if (a == k).any()]
        labelled = sum(int((a != 255).sum()) for a in having)
        frequencies.append(sum(int((a == k).sum()) for a in having) / labelled)
    expected = [sorted(frequencies)[1] / f for f in frequencies]

    balance = report_of(root).splits[0].balance
    np.testing.assert_allclose(balance.median_frequency, expected, rtol=1e-12)


@pytest.mark.parametrize('beta', [0.9, 0.999])
def test_effective_number_of_samples(root, beta):
    numbers = []
    for k in range(3):
        n = sum(int((a == k).sum()) for a in labels_of(root))
        numbers.append(sum(beta**j for j in range(n)))  # 1 + beta + beta^2 + …
    inverse = [1 / number for number in numbers]
    expected = [3 * w / sum(inverse) for w in inverse]

    cfg = config(root, img_suffix='.png')
    report = check_dataset(Config(dict(data=dict(train=cfg))), workers=0, beta=beta)
    np.testing.assert_allclose(report.splits[0].balance.effective_number, expected, rtol=1e-10)
    assert f'beta={beta}' in format_report(report)


def test_default_beta_is_of_the_mean_class_and_weighs_millions_of_pixels():
    assert default_beta(np.array([100, 300, 0])) == 1 - 1 / 200
    pixels = np.array([10_000_000, 1_000_000])
    beta = default_beta(pixels)
    common, rare = effective_number_weights(pixels, beta)
    assert rare / common == pytest.approx(
        (1 - np.exp(-10 / 5.5)) / (1 - np.exp(-1 / 5.5)), rel=1e-6
    )
    np.testing.assert_allclose(effective_number_weights(pixels, 0.9999), 1, atol=1e-12)


def test_classes_that_never_occur_weigh_1():
    pixels, of_images = np.array([30, 0, 10]), np.array([40, 0, 20])
    np.testing.assert_allclose(
        median_frequency_weights(pixels, of_images), [0.625 / 0.75, 1, 0.625 / 0.5]
    )
    weights = effective_number_weights(pixels, 0.5)
    assert weights[1] == 1 and weights[[0, 2]].mean() == pytest.approx(1)
    np.testing.assert_array_equal(median_frequency_weights(pixels * 0, of_images), 1)
    np.testing.assert_array_equal(effective_number_weights(pixels * 0, 0.5), 1)
    assert 0 < default_beta(pixels * 0) < 1


@pytest.mark.parametrize('beta', [0, 1, -0.1, float('nan')])
def test_beta_outside_its_range(root, beta):
    with pytest.raises(ValueError, match='expected a number between 0 and 1'):
        effective_number_weights(np.ones(2), beta)


def images_of(root):
    return [cv2.imread(str(root / f'img/train/{i}.png')) for i in range(len(SIZES))]


def test_mean_and_std_are_over_all_pixels(root):
    pixels = np.concatenate([img.reshape(-1, 3) for img in images_of(root)]).astype(float)

    norm = report_of(root).splits[0].normalisation
    np.testing.assert_allclose(norm.mean, pixels.mean(axis=0)[::-1], rtol=1e-12)
    np.testing.assert_allclose(norm.std, pixels.std(axis=0)[::-1], rtol=1e-12)
    assert norm.to_rgb is True


@pytest.mark.parametrize(
    ('load', 'to_rgb', 'flag'),
    [
        ({'color_type': 'color'}, False, cv2.IMREAD_COLOR),
        ({'color_type': 'grayscale'}, False, cv2.IMREAD_GRAYSCALE),
        ({'color_type': 'unchanged'}, False, cv2.IMREAD_UNCHANGED),
        ({'imdecode_backend': 'pillow'}, True, cv2.IMREAD_COLOR),
    ],
)
def test_mean_and_std_are_of_what_the_pipeline_loads(root, load, to_rgb, flag):
    images = [cv2.imread(str(root / f'img/train/{i}.png'), flag) for i in range(len(SIZES))]
    channels = 1 if images[0].ndim == 2 else 3
    pixels = np.concatenate([img.reshape(-1, channels) for img in images]).astype(float)
    normalize = dict(type='Normalize', mean=[0] * channels, std=[1] * channels, to_rgb=to_rgb)
    pipeline = [dict(type='LoadImageFromFile', **load), normalize]

    norm = report_of(root, pipeline=pipeline).splits[0].normalisation
    mean, std = (a[::-1] if to_rgb else a for a in (pixels.mean(axis=0), pixels.std(axis=0)))
    np.testing.assert_allclose(norm.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(norm.std, std, rtol=1e-12)
    assert norm.to_rgb is to_rgb


def test_pasted_numbers_normalise_the_images(root):
    text = format_report(report_of(root))
    line = next(line for line in text.splitlines() if line.startswith('img_norm_cfg'))
    pasted = {}
    exec(line, pasted)
    transforms = [
        dict(type='LoadImageFromFile'),
        dict(type='Normalize', **pasted['img_norm_cfg']),
    ]
    pipeline = Compose(transforms)
    prefix = str(root / 'img/train')
    normal = [
        pipeline(dict(img_info=dict(filename=f'{i}.png'), img_prefix=prefix))['img'].reshape(-1, 3)
        for i in range(len(SIZES))
    ]
    normal = np.concatenate(normal)
    np.testing.assert_allclose(normal.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(normal.std(axis=0), 1, atol=1e-4)


def test_images_of_different_channels_have_no_mean_in_common(root):
    grey = root / 'img/train/grey.png'
    cv2.imwrite(str(grey), np.zeros((4, 5), np.uint8))
    colour = scan_image(str(root / 'img/train/0.png'), ImageLoading('unchanged'))
    assert (
        normalisation_of([colour, scan_image(str(grey), ImageLoading('unchanged'))], True) is None
    )
    assert normalisation_of([None], True) is None
    assert normalisation_of([colour], True) is not None


def test_numbers_of_bands_are_of_what_is_data(tmp_path):
    rng = np.random.default_rng(0)
    images = [rng.normal(0.01, 0.004, (8, 9, 5)).astype(np.float32) for _ in range(3)]
    (tmp_path / 'img/train').mkdir(parents=True)
    for i, image in enumerate(images):
        image[:2, : i + 1] = np.nan
        image[7, 8, 4] = -1
        np.save(tmp_path / f'img/train/{i}.npy', image)
    pipeline = [dict(type='LoadImageFromFile', color_type='unchanged', nodata=-1)]
    train = dict(type='CustomDataset', img_dir=str(tmp_path / 'img/train'), img_suffix='.npy',
                 classes=['a'], pipeline=pipeline)  # fmt: skip
    split = check_dataset(Config({'data': {'train': train}}), workers=0).splits[0]
    known = [image[(np.isfinite(image) & (image != -1)).all(2)] for image in images]
    pixels = np.concatenate(known).astype(float)
    norm = split.normalisation
    np.testing.assert_allclose(norm.mean, pixels.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(norm.std, pixels.std(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(norm.smallest, pixels.min(axis=0))
    np.testing.assert_array_equal(norm.largest, pixels.max(axis=0))
    assert norm.share_without_data == pytest.approx((2 + 4 + 6 + 3) / (3 * 72))
    text = split.text(None)
    assert 'pixels without data: 6.94 %' in text and 'Standard deviation' in text
    assert split.as_dict()['channels']['smallest'] == norm.smallest


def test_colours_among_bands_are_in_another_order(tmp_path):
    image = np.random.default_rng(0).integers(0, 4000, (8, 9, 4)).astype(np.uint16)
    write_geotiff(tmp_path / 'bands.tif', image)
    write_geotiff(tmp_path / 'colours.tif', image + 1, photometric='RGB')
    for load, expected in (
        (dict(color_type='unchanged'), ['mixed_order']),
        (dict(bands=[1, 2, 3, 4]), []),
    ):
        pipeline = [dict(type='LoadImageFromFile', **load)]
        train = dict(type='CustomDataset', img_dir=str(tmp_path), img_suffix='.tif',
                     classes=['a'], pipeline=pipeline)  # fmt: skip
        report = check_dataset(Config({'data': {'train': train}}), workers=0)
        assert [finding.kind for finding in report.findings] == expected
