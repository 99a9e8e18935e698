"""Which channels of a file are loaded, and what becomes of values that are no data."""

import numpy as np
import pytest
from PIL import Image

from msseg.utils.errors import UserValueError
from msseg.utils.image_loading import ImageLoading, no_data_label
from msseg.utils.image_values import ImageSettingError
from tests.geotiff import write_geotiff

RNG = np.random.default_rng(3)
SIX = RNG.integers(1, 4000, (7, 9, 6)).astype(np.uint16)


def load(path, **settings):
    settings = {'color_type': 'unchanged', **settings}
    return ImageLoading(**settings).load(path.read_bytes(), path)


def write(folder, name, array):
    path = folder / name
    if path.suffix == '.npy':
        np.save(path, array)
    elif path.suffix == '.npz':
        np.savez_compressed(path, array)
    elif path.suffix == '.png':
        Image.fromarray(array, 'RGBA').save(path)
    else:
        write_geotiff(path, array)
    return path


TYPES = ['uint8', 'int8', 'uint16', 'int16', 'uint32', 'int32', 'float32', 'float64']


@pytest.mark.parametrize('name', ['a.tif', 'a.npy', 'a.npz'])
@pytest.mark.parametrize('dtype', TYPES)
def test_every_type_is_loaded_with_its_own_values(tmp_path, name, dtype):
    array = RNG.integers(0, 120, (7, 9, 6)).astype(dtype)
    img, no_data = load(write(tmp_path, name, array))
    assert no_data is None and img.dtype == (dtype if dtype in ('uint8', 'uint16', 'int16')
                                             else 'float32')  # fmt: skip
    np.testing.assert_array_equal(img, array)


@pytest.mark.parametrize('name', ['a.tif', 'a.npy', 'a.npz', 'a.png'])
def test_bands_count_from_1_in_the_order_of_the_file(tmp_path, name):
    array = RNG.integers(1, 255, (7, 9, 4)).astype(np.uint8)
    path = write(tmp_path, name, array)
    np.testing.assert_array_equal(load(path, bands=(4, 1, 1)).img, array[..., [3, 0, 0]])
    np.testing.assert_array_equal(load(path, bands=(2,)).img, array[..., [1]])


def test_bands_of_a_colour_tiff_count_as_gdal_counts_them(tmp_path):
    array = RNG.integers(1, 255, (7, 9, 4)).astype(np.uint16)
    path = write_geotiff(tmp_path / 'a.tif', array, photometric='RGB')
    np.testing.assert_array_equal(load(path).img, array[..., [2, 1, 0, 3]])  # colours are BGR
    np.testing.assert_array_equal(load(path, bands=(1, 2, 3, 4)).img, array)


def test_a_band_that_the_file_lacks(tmp_path):
    path = write(tmp_path, 'a.npy', SIX)
    with pytest.raises(ImageSettingError, match=r'a\.npy: bands names band 7, but the image has 6'):
        load(path, bands=(1, 7))
    with pytest.raises(UserValueError, match=r"color_type='unchanged'"):
        ImageLoading('grayscale', bands=(1,))


def holes(dtype, value):
    """An image of three bands with a pixel that lacks all of them, and one that lacks the last."""
    array = RNG.integers(1, 200, (5, 6, 3)).astype(dtype)
    array[1, 2], array[3, 4, 2] = value, value
    return array


@pytest.mark.parametrize(
    ('dtype', 'value'),
    [
        ('uint8', 0), ('uint16', 65535), ('int16', -9999), ('uint32', 2**32 - 1),
        ('int32', -(2**31)), ('float32', -3.4028234663852886e38), ('float64', -1.7e308),
        ('float32', np.nan),
    ],
)  # fmt: skip
def test_the_tag_of_a_file_says_what_is_no_data(tmp_path, dtype, value):
    array = holes(dtype, value)
    path = write_geotiff(tmp_path / 'a.tif', array, nodata=value)
    img, no_data = load(path, fill=(7, 8, 9), bands=(1, 2, 3))
    assert [tuple(at) for at in np.argwhere(no_data)] == [(1, 2), (3, 4)]
    assert img[1, 2].tolist() == [7, 8, 9]
    assert img[3, 4].tolist() == [*array[3, 4, :2].tolist(), 9]
    np.testing.assert_array_equal(img[0], array[0])
    _, no_data = load(path, nodata_rule='all', bands=(1, 2, 3))
    assert [tuple(at) for at in np.argwhere(no_data)] == [(1, 2)]
    if dtype == 'uint8':
        assert load(path, nodata=None).no_data is None


@pytest.mark.parametrize('name', ['a.npy', 'a.npz'])
@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_what_is_no_finite_number_is_never_fed(tmp_path, name, value):
    path = write(tmp_path, name, holes('float32', value))
    for settings in ({}, {'nodata': None}, {'max_value': 200}, {'percentiles': (1, 99)}):
        img, no_data = load(path, **settings)
        assert np.isfinite(img).all()
        if np.isnan(value) or len(settings.keys() & {'max_value', 'percentiles'}) == 0:
            assert no_data.sum() == 2 and img[1, 2].tolist() == [0, 0, 0]
        else:  # it is clipped
            assert no_data is None and img[1, 2].tolist() == [255 * (value > 0)] * 3


def test_a_number_in_the_settings_stands_above_the_tag(tmp_path):
    array = holes('int16', -1)
    path = write_geotiff(tmp_path / 'a.tif', array, nodata=-9999)
    assert load(path).no_data is None
    assert load(path, nodata=-1).no_data.sum() == 2
    assert load(path, nodata=-0.5).no_data is None  # which whole numbers cannot be


def test_percentiles_are_of_what_is_data(tmp_path):
    array = np.full((10, 10, 1), -9999, np.float32)
    array[5:] = np.linspace(0, 1, 50).reshape(5, 10, 1)
    img = load(write(tmp_path, 'a.npy', array), nodata=-9999, percentiles=(0, 100)).img
    np.testing.assert_allclose(img[5:], 255 * array[5:], atol=1e-3)
    assert (img[:5] == 0).all()


@pytest.mark.parametrize('color_type', ['color', 'grayscale'])
def test_colours_of_an_image_with_holes(tmp_path, color_type):
    array = holes('uint16', 0)
    path = write_geotiff(tmp_path / 'a.tif', array, nodata=0, photometric='RGB')
    img, no_data = load(path, color_type=color_type, max_value=255, fill=3)
    assert no_data.sum() == 2 and (img[no_data] == 3).any()
    assert img.shape == ((5, 6, 3) if color_type == 'color' else (5, 6))


def test_fill_needs_a_number_for_each_channel(tmp_path):
    path = write(tmp_path, 'a.npy', holes('float32', np.nan))
    with pytest.raises(UserValueError, match='fill has 2 numbers, expected one for each of the 3'):
        load(path, fill=(1, 2))


def test_which_array_of_an_archive_is_loaded(tmp_path):
    path = tmp_path / 'a.npz'
    np.savez(path, img=SIX, msk=np.zeros((7, 9), np.uint8), names=np.array(['a']))
    np.testing.assert_array_equal(load(path, array='img').img, SIX)
    with pytest.raises(ImageSettingError, match=r"'img' of shape \(7, 9, 6\), 'msk' of shape"):
        load(path)
    with pytest.raises(ImageSettingError, match="and no image 'names'"):
        load(path, array='names')
    np.savez(path, img=SIX, names=np.array(['a']))
    np.testing.assert_array_equal(load(path).img, SIX)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match='cannot be decoded'):
        load(path)


def test_an_array_is_loaded_like_the_chosen_bands_of_a_file():
    loading = ImageLoading('unchanged', bands=(2, 1, 3), nodata=5, fill=(7, 8, 9))
    img, no_data = loading.load_array(np.full((2, 2, 3), 5, np.uint16), 'an array')
    assert no_data.all() and img[0, 0].tolist() == [7, 8, 9]
    kept = np.ones((2, 2, 3), np.uint16)
    assert loading.load_array(kept, 'an array').img is kept


def test_the_label_without_data_is_no_class():
    assert [no_data_label(n) for n in (2, 255, 256, 1000)] == [255, 255, 65535, 65535]
