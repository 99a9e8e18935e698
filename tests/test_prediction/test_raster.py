"""Rows of a TIFF read by windows are those of the whole file, decoded by the same decoder."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from msseg.datasets.pipelines import LoadImageFromFile
from msseg.prediction.raster import Raster, UnreadableInputError
from msseg.utils import extras
from msseg.utils.image_file import decode_image
from msseg.utils.image_header import read_header
from tests.tiff_bands import write_band_tiff
from tests.tiled_tiff import write_tiled_tiff


@pytest.fixture(scope='module')
def picture():
    coarse = np.random.default_rng(0).integers(0, 255, (9, 13, 3)).astype(np.uint8)
    return cv2.resize(coarse, (131, 90))


def open_raster(path, page=None, pixels=1000, **options):
    loader = LoadImageFromFile(**options)

    def load(file):
        return loader(dict(img_info=dict(filename=str(file))))

    return Raster(Path(path), SimpleNamespace(reads_files=loader, load=load), pixels, page)


def check_rows(path, color_type='color', backend='cv2', step=37, most=0):
    whole = decode_image(path.read_bytes(), path, color_type, backend)
    raster = open_raster(path, color_type=color_type, imdecode_backend=backend)
    assert raster.whole is None, 'it is read by windows'
    assert raster.size == whole.shape[:2]
    for top in range(0, len(whole), step):
        bottom = min(top + step, len(whole))
        rows = raster.rows(top, bottom)
        assert rows.dtype == whole.dtype and rows.shape == whole[top:bottom].shape
        assert np.abs(rows.astype(float) - whole[top:bottom]).max() <= most


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
@pytest.mark.parametrize('compress', [False, True])
@pytest.mark.parametrize('order', ['<', '>'])
def test_tiles(tmp_path, picture, backend, compress, order):
    path = tmp_path / 'a.tif'
    write_tiled_tiff(path, picture, compress=compress, order=order)
    check_rows(path, backend=backend)
    check_rows(path, 'grayscale', backend)
    np.testing.assert_array_equal(open_raster(path).rows(0, 90)[..., ::-1], picture)


@pytest.mark.parametrize('big', [False, True])
@pytest.mark.parametrize(
    ('compression', 'tags'),
    [
        (None, {278: 7}),
        ('tiff_lzw', {278: 7, 317: 2}),
        ('tiff_adobe_deflate', {278: 7}),
        ('packbits', {278: 7}),
        ('jpeg', {278: 16}),
    ],
)
def test_strips_of_every_compression(tmp_path, picture, compression, tags, big):
    path = tmp_path / 'a.tif'
    Image.fromarray(picture).save(path, compression=compression, tiffinfo=tags, big_tiff=big)
    check_rows(path, most=2 if compression == 'jpeg' else 0)  # two decoders of JPEG


@pytest.mark.parametrize('mode', ['L', 'P', 'I;16', 'CMYK', 'RGBA', '1', 'F', 'white'])
def test_kinds_of_pixels(tmp_path, picture, mode):
    path, tags = tmp_path / 'a.tif', {278: 11}
    if mode == 'I;16':
        image = Image.fromarray(picture[..., 0].astype(np.uint16) * 200)
    elif mode == 'white':  # 0 is white
        image, tags = Image.fromarray(picture[..., 0]), {278: 11, 262: 0}
    else:
        image = Image.fromarray(picture).convert(mode)
    image.save(path, tiffinfo=tags)
    if mode != 'F':
        check_rows(path)
    check_rows(path, 'unchanged') if mode != 'CMYK' else None
    if mode not in ('CMYK', 'F'):
        check_rows(path, backend='pillow')


@pytest.mark.parametrize('fourth', ['unassalpha', 'assocalpha', 'unspecified'])
def test_opacity_is_that_of_the_file(tmp_path, picture, fourth):
    tifffile = pytest.importorskip('tifffile')
    path, bands = tmp_path / 'a.tif', np.dstack([picture, picture[..., 0] // 3])
    tifffile.imwrite(path, bands, photometric='rgb', extrasamples=[fourth], rowsperstrip=8)
    check_rows(path)
    check_rows(path, 'unchanged')


@pytest.mark.parametrize('planar', ['contig', 'separate'])
def test_bands(tmp_path, planar):
    tifffile = pytest.importorskip('tifffile')
    path = tmp_path / 'a.tif'
    bands = np.random.default_rng(0).integers(0, 4000, (90, 131, 7)).astype(np.uint16)
    data = bands if planar == 'contig' else bands.transpose(2, 0, 1)
    tifffile.imwrite(
        path, data, photometric='minisblack', planarconfig=planar, rowsperstrip=8,
        extrasamples=['unspecified'] * 6,
    )  # fmt: skip
    assert read_header(path).pages == 1
    check_rows(path, 'unchanged')


def test_a_turned_file_and_percentiles_are_read_whole(tmp_path, picture):
    turned, path = tmp_path / 'turned.tif', tmp_path / 'a.tif'
    write_tiled_tiff(turned, picture, tags=[(274, 3, 6)])
    write_tiled_tiff(path, picture)
    assert open_raster(turned).whole is not None
    assert open_raster(path, percentiles=(1, 99)).whole is not None


def test_a_damaged_file_is_named(tmp_path, picture, capfd):
    path = tmp_path / 'a.tif'
    write_tiled_tiff(path, picture)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UnreadableInputError, match=r'a\.tif: cannot be decoded'):
        open_raster(path)
    Image.fromarray(picture).save(path, tiffinfo={278: 7})
    raster = open_raster(path)
    # Pillow writes the directory first, so a cut file still has it
    path.write_bytes(path.read_bytes()[:-2000])
    raster.rows(0, 20)
    with pytest.raises(UnreadableInputError, match=r'a\.tif: the image is truncated or damaged'):
        raster.rows(60, 90)
    write_tiled_tiff(path, picture, tags=[(257, 4, 4000)])
    with pytest.raises(UnreadableInputError, match=r'a\.tif: the image is truncated or damaged'):
        open_raster(path).rows(3000, 3100)
    assert capfd.readouterr().err == ''


def test_every_page_is_read_and_smaller_copies_are_no_pages(tmp_path):
    path = tmp_path / 'a.tif'
    rng = np.random.default_rng(0)
    pages = [rng.integers(0, 255, (6 + i, 9, 1)).astype(np.uint8) for i in range(4)]
    write_band_tiff(path, *pages, reduced=[1])
    assert read_header(path).pages == 3
    for page, expected in enumerate([pages[0], pages[2], pages[3]]):
        raster = open_raster(path, page, color_type='unchanged')
        np.testing.assert_array_equal(raster.rows(0, raster.size[0]), expected[..., 0])
        scaled = open_raster(path, page, color_type='grayscale', percentiles=(0, 100)).whole.img
        span = np.ptp(expected[..., 0].astype(float))
        by_hand = (expected[..., 0].astype(float) - expected.min()) / span * 255
        np.testing.assert_allclose(scaled, by_hand, atol=1e-3)


def test_without_rasterio_one_page_is_decoded_whole_and_more_name_the_extra(
    tmp_path, picture, monkeypatch
):
    path, stack = tmp_path / 'a.tif', tmp_path / 'stack.tif'
    write_tiled_tiff(path, picture)
    write_band_tiff(stack, *[picture[..., :1]] * 2)
    monkeypatch.setattr(extras.importlib, 'import_module', absent)
    assert open_raster(path).whole.img.shape == picture.shape
    words = r"{}.*needs the package 'rasterio': pip install 'msseg\[tiff\]'"
    with pytest.raises(UnreadableInputError, match=words.format('stack.tif')):
        open_raster(stack, 1)
    monkeypatch.setenv('MSSEG_MAX_IMAGE_PIXELS', '5000')
    with pytest.raises(UnreadableInputError, match=words.format('a.tif')):
        open_raster(path)


def absent(name):
    raise ImportError(name)
