"""Images of more than 8 bits and of bands: the scale of bytes, warnings, both backends alike."""

import logging

import cv2
import numpy as np
import pytest
from PIL import Image

from msseg.datasets.pipelines import Compose, LoadImageFromFile
from msseg.utils.image_values import ValueScale
from tests.tiff_bands import write_band_tiff

BYTES = np.random.default_rng(1).integers(0, 256, (48, 64, 3)).astype(np.uint8)  # BGR
GREY = BYTES[..., 0]
TWELVE = (BYTES.astype(np.uint16) << 4) | 7  # its upper eight of twelve bits are BYTES
BACKENDS = ('cv2', 'pillow')


def load(path, **arguments):
    results = dict(img_prefix=str(path.parent), img_info=dict(filename=path.name))
    return LoadImageFromFile(**arguments)(results)['img']


def write(folder, name, array):
    """Write an array in the format of a name."""
    path = folder / name
    if path.suffix == '.npy':
        np.save(path, array)
    elif array.dtype == np.float32:
        Image.fromarray(array).save(path)
    else:
        assert cv2.imwrite(str(path), array, [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])
    return path


FILES = [
    ('rgb.png', TWELVE, 4095), ('rgb.tif', TWELVE, 4095), ('rgb.npy', TWELVE, 4095),
    ('grey.png', TWELVE[..., 0], 4095), ('grey.tif', TWELVE[..., 0], 4095),
    ('grey.pgm', TWELVE[..., 0], 4095), ('grey.jp2', TWELVE[..., 0], 4095),
    ('float.tif', GREY / np.float32(255), 1.0), ('float.npy', (BYTES / 255).astype(np.float64), 1),
    ('big.npy', TWELVE.astype('>u2'), 4095), ('signed.npy', TWELVE.astype(np.int32), 4095),
]  # fmt: skip


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize(('name', 'array', 'white'), FILES)
def test_a_stated_scale_gives_the_values_of_the_8_bit_version(
    tmp_path, name, array, white, backend
):
    img = load(write(tmp_path, name, array), max_value=white, imdecode_backend=backend)
    expected = np.repeat(GREY[..., None], 3, 2) if array.ndim == 2 else BYTES
    assert img.dtype == np.float32 and img.shape == expected.shape
    assert np.abs(img - expected).max() < 1
    grey = load(tmp_path / name, max_value=white, color_type='grayscale', imdecode_backend=backend)
    by_hand = expected @ np.array([0.114, 0.587, 0.299])
    assert grey.shape == GREY.shape and np.abs(grey - by_hand).max() < 1.1


def test_an_image_of_8_bits_keeps_its_values_beside_deep_ones(tmp_path):
    for name in ('a.png', 'a.npy'):
        np.testing.assert_array_equal(load(write(tmp_path, name, BYTES), max_value=4095), BYTES)


def test_percentiles_are_those_of_each_image(tmp_path):
    ramp = np.arange(101, dtype=np.uint16).reshape(1, 101) * 40
    img = load(write(tmp_path, 'ramp.png', ramp), color_type='grayscale', percentiles=(10, 90))
    np.testing.assert_allclose(img[0, [0, 10, 50, 90, 100]], [0, 0, 127.5, 255, 255], atol=1e-3)
    assert load(write(tmp_path, 'flat.png', ramp * 0 + 9), percentiles=(1, 99)).max() == 0


def test_what_is_no_number_becomes_black_and_infinity_white(tmp_path):
    values = np.float32([[0, 0.5, 1, np.nan, np.inf, -np.inf, 7, -7]])
    expected = [[0, 127.5, 255, 0, 255, 0, 255, 0]]
    img = load(write(tmp_path, 'a.npy', values), color_type='grayscale', max_value=1)
    np.testing.assert_array_equal(img, expected)
    assert np.isfinite(load(tmp_path / 'a.npy', percentiles=(0, 100))).all()


@pytest.mark.parametrize('backend', BACKENDS)
def test_without_a_scale_16_bits_are_cut_and_that_is_said_once(tmp_path, caplog, backend):
    for name in ('a.png', 'b.tif', 'c.png'):
        path = write(tmp_path, name, TWELVE)
        np.testing.assert_array_equal(load(path, imdecode_backend=backend), TWELVE >> 8)
    messages = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(messages) == 1
    for words in ('a.png: holds 16 bits', f'values to {TWELVE.max()}', 'max_value=4095'):
        assert words in messages[0]


@pytest.mark.parametrize('backend', BACKENDS)
def test_without_a_scale_floats_are_refused_and_as_they_are_loaded(tmp_path, backend):
    path = write(tmp_path, 'a.tif', GREY / np.float32(255))
    with pytest.raises(ValueError, match=r'a\.tif: holds 32-bit numbers .*float32.*max_value'):
        load(path, imdecode_backend=backend)
    img = load(path, imdecode_backend=backend, color_type='unchanged')
    np.testing.assert_array_equal(img, GREY / np.float32(255))


@pytest.mark.parametrize('backend', BACKENDS)
def test_a_fourth_channel_that_is_left_out_is_said(tmp_path, caplog, backend):
    path = write(tmp_path, 'a.png', np.dstack([BYTES, GREY]))
    np.testing.assert_array_equal(load(path, imdecode_backend=backend), BYTES)
    (message,) = [record.message for record in caplog.records]
    for words in ('a.png: holds 4 channels', "color_type='unchanged'", 'in_channels=4'):
        assert words in message
    assert load(path, imdecode_backend=backend, color_type='unchanged').shape == (48, 64, 4)
    assert len(caplog.records) == 1


@pytest.mark.parametrize('bands', [3, 4, 12])
@pytest.mark.parametrize('dtype', ['u1', 'u2', 'f4'])
@pytest.mark.parametrize('backend', BACKENDS)
def test_bands_of_a_tiff_are_all_read_or_refused_as_colours(tmp_path, bands, dtype, backend):
    image = np.random.default_rng(bands).integers(0, 200, (5, 7, bands)).astype(dtype)
    write_band_tiff(tmp_path / 'a.tif', image)
    got = load(tmp_path / 'a.tif', color_type='unchanged', imdecode_backend=backend)
    np.testing.assert_array_equal(got, image)
    scaled = load(
        tmp_path / 'a.tif', color_type='unchanged', max_value=199, imdecode_backend=backend
    )
    assert scaled.dtype == np.float32 and scaled.max() <= 255
    for arguments in ({}, {'max_value': 4095}):
        with pytest.raises(ValueError, match=rf'a\.tif: holds {bands} channels|fixed scale'):
            load(tmp_path / 'a.tif', imdecode_backend=backend, **arguments)


def test_an_array_with_its_channels_first_is_refused(tmp_path):
    path = write(tmp_path, 'a.npy', np.zeros((4, 20, 30), np.uint8))
    with pytest.raises(ValueError, match=r'a\.npy.*\(4, 20, 30\).*transpose\(1, 2, 0\)'):
        load(path, color_type='unchanged')
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match=r'a\.npy: cannot be read as a numpy array'):
        load(path, color_type='unchanged')


def test_an_array_without_pixels_or_of_absurd_size_is_refused(tmp_path):
    path = write(tmp_path, 'a.npy', np.zeros((0, 7, 3), np.uint8))
    with pytest.raises(ValueError, match=r'a\.npy: the image is of 0x7 pixels'):
        load(path)
    head = path.read_bytes().replace(b'(0, 7, 3)', b'(9999999, 9999999, 3)')
    path.write_bytes(head[:8] + (len(head) - 10).to_bytes(2, 'little') + head[10:])
    with pytest.raises(ValueError, match=r'a\.npy: the image is of 9999999x9999999 pixels'):
        load(path)


def test_an_array_of_objects_is_not_unpickled(tmp_path):
    np.save(tmp_path / 'a.npy', np.array([[{}, 1]], object), allow_pickle=True)
    with pytest.raises(ValueError, match='cannot be'):
        load(tmp_path / 'a.npy', color_type='unchanged')


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (dict(max_value=0), 'max_value is 0, expected a number above 0'),
        (dict(max_value=float('nan')), 'max_value is nan'),
        (dict(max_value=True), 'max_value is True'),
        (dict(max_value=1, percentiles=(1, 99)), 'give one of them'),
        (dict(percentiles=(99, 1)), r'percentiles is \(99, 1\), expected \(smallest, largest\)'),
        (dict(percentiles=(0, 101)), 'from 0 to 100'),
        (dict(percentiles=5), 'percentiles is 5, expected .* 2 values'),
    ],
)
def test_a_scale_that_makes_no_sense_is_refused(arguments, words):
    with pytest.raises((ValueError, TypeError), match=words):
        ValueScale(**arguments)


STEPS = [
    dict(type='PhotoMetricDistortion'), dict(type='CLAHE', clip_limit=2.0),
    dict(type='AdjustGamma', gamma=0.7), dict(type='RGB2Gray'),
    dict(type='RandomCutOut', prob=1.0, n_holes=2, cutout_shape=(5, 3)),
    dict(type='Resize', img_scale=(20, 12)), dict(type='RandomRotate', prob=1.0, degree=20.0),
    dict(type='Pad', size=(40, 60)),
]  # fmt: skip


@pytest.mark.parametrize('step', STEPS, ids=lambda step: step['type'])
def test_transforms_do_to_deep_images_what_they_do_to_their_8_bit_version(step):
    smooth = cv2.GaussianBlur(BYTES, (0, 0), 3)
    for seed in range(8):
        of_bytes, of_floats = (
            Compose([step])(dict(img=img, rng=np.random.default_rng(seed)))['img']
            for img in (smooth, smooth.astype(np.float32))
        )
        assert of_floats.dtype in (np.float32, np.float64) and of_floats.min() >= 0
        # hue and saturation of bytes are rounded to 2 degrees and 1/255
        limit = 6 if step['type'] == 'PhotoMetricDistortion' else 1.01
        assert np.abs(of_floats - of_bytes.astype(float)).max() <= limit


def test_cutout_fills_any_number_of_channels():
    img = np.ones((9, 9, 12), np.float32)
    step = dict(type='RandomCutOut', prob=1.0, n_holes=1, cutout_shape=(4, 4))
    filled = Compose([step])(dict(img=img, rng=np.random.default_rng(0)))['img']
    assert (filled == 0).any() and filled.shape == img.shape
    each = Compose([{**step, 'fill_in': list(range(12))}])
    assert each(dict(img=img, rng=np.random.default_rng(0)))['img'].max() == 11
    with pytest.raises(ValueError, match='fill_in=.*but the image has 12 channels'):
        Compose([{**step, 'fill_in': (0, 0, 0)}])(dict(img=img, rng=np.random.default_rng(0)))


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('fourth', ['unassalpha', 'assocalpha', 'unspecified'])
def test_colours_of_a_tiff_are_not_multiplied_by_its_fourth_channel(tmp_path, fourth, backend):
    tifffile = pytest.importorskip('tifffile')
    bands = np.random.default_rng(2).integers(0, 256, (20, 30, 4)).astype(np.uint8)
    bands[..., 3] //= 3
    path = tmp_path / 'a.tif'
    tifffile.imwrite(path, bands, photometric='rgb', extrasamples=[fourth])
    bgr = bands[..., 2::-1]
    np.testing.assert_array_equal(load(path, imdecode_backend=backend), bgr)
    np.testing.assert_array_equal(
        load(path, imdecode_backend=backend, color_type='unchanged'),
        np.dstack([bgr, bands[..., 3]]),
    )
    np.testing.assert_array_equal(
        load(path, imdecode_backend=backend, color_type='grayscale'),
        cv2.cvtColor(np.ascontiguousarray(bgr), cv2.COLOR_BGR2GRAY),
    )


def test_two_channels_of_a_tiff_are_both_there(tmp_path):
    tifffile = pytest.importorskip('tifffile')
    bands = np.random.default_rng(2).integers(0, 256, (20, 30, 2)).astype(np.uint8)
    tifffile.imwrite(tmp_path / 'a.tif', bands, photometric='minisblack', planarconfig='contig')
    np.testing.assert_array_equal(load(tmp_path / 'a.tif', color_type='unchanged'), bands)


@pytest.mark.parametrize('compress', ['ZSTD', 'LZMA'])
@pytest.mark.parametrize('channels', [3, 4])
def test_colours_of_a_compression_that_opencv_lacks_are_bgr(tmp_path, compress, channels):
    rasterio = pytest.importorskip('rasterio')
    bands = np.dstack([TWELVE[..., ::-1], TWELVE[..., 0]])[..., :channels]
    profile = dict(driver='GTiff', width=64, height=48, count=channels, dtype='uint16')
    profile |= dict(photometric='RGB', compress=compress, transform=rasterio.Affine.scale(2))
    with rasterio.open(tmp_path / 'a.tif', 'w', **profile) as file:
        file.write(bands.transpose(2, 0, 1))
    np.testing.assert_array_equal(load(tmp_path / 'a.tif'), TWELVE >> 8)
    unchanged = load(tmp_path / 'a.tif', color_type='unchanged')
    np.testing.assert_array_equal(unchanged[..., :3], TWELVE)
