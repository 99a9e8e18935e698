"""Rows of a TIFF read by parts are those of the whole file, decoded by the same decoder."""

import cv2
import numpy as np
import pytest
from PIL import Image

from msseg.datasets.pipelines import LoadImageFromFile
from msseg.datasets.pipelines.tiff_parts import TiffParts
from msseg.utils.image_file import decode_image
from msseg.utils.image_header import read_header
from tests.tiff_bands import write_band_tiff
from tests.tiled_tiff import write_tiled_tiff

DECODE = LoadImageFromFile().decode


@pytest.fixture(scope='module')
def picture():
    coarse = np.random.default_rng(0).integers(0, 255, (9, 13, 3)).astype(np.uint8)
    return cv2.resize(coarse, (131, 90))


def check_rows(path, color_type='color', backend='cv2', step=37):
    whole = decode_image(path.read_bytes(), path, color_type, backend)
    loader = LoadImageFromFile(color_type=color_type, imdecode_backend=backend)
    parts = TiffParts(path, loader.decode)
    assert parts.decodes and parts.has_small_pieces
    assert (parts.height, parts.width) == whole.shape[:2]
    for top in range(0, len(whole), step):
        bottom = min(top + step, len(whole))
        rows = parts.rows(top, bottom)
        np.testing.assert_array_equal(rows, whole[top:bottom])
        assert rows.dtype == whole.dtype


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
@pytest.mark.parametrize('compress', [False, True])
@pytest.mark.parametrize('order', ['<', '>'])
def test_tiles(tmp_path, picture, backend, compress, order):
    path = tmp_path / 'a.tif'
    write_tiled_tiff(path, picture, compress=compress, order=order)
    check_rows(path, backend=backend)
    check_rows(path, 'grayscale', backend)
    np.testing.assert_array_equal(TiffParts(path, DECODE).rows(0, 90)[..., ::-1], picture)


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
    assert TiffParts(path, DECODE)._piece == (tags[278], 131)
    check_rows(path)


@pytest.mark.parametrize('mode', ['L', 'P', 'I;16', 'CMYK', 'RGBA', '1'])
def test_kinds_of_pixels(tmp_path, picture, mode):
    path = tmp_path / 'a.tif'
    if mode == 'I;16':
        image = Image.fromarray(picture[..., 0].astype(np.uint16) * 200)
    else:
        image = Image.fromarray(picture).convert(mode)
    image.save(path, tiffinfo={278: 11})
    check_rows(path)
    check_rows(path, backend='pillow')


def test_a_turned_file_is_not_read_by_parts(tmp_path, picture):
    turned = tmp_path / 'turned.tif'
    write_tiled_tiff(turned, picture, tags=[(274, 3, 6)])
    assert not TiffParts(turned, DECODE).decodes


def test_cut_file_is_told(tmp_path, picture):
    path = tmp_path / 'a.tif'
    write_tiled_tiff(path, picture)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=r'a\.tif: the TIFF is truncated or damaged; copy it'):
        TiffParts(path, DECODE)


def test_missing_part_is_told(tmp_path, picture):
    path = tmp_path / 'a.tif'
    Image.fromarray(picture).save(path, tiffinfo={278: 7})
    parts = TiffParts(path, DECODE)
    # Pillow writes the directory first, so a cut file still has it
    path.write_bytes(path.read_bytes()[:-2000])
    parts.rows(0, 20)
    with pytest.raises(ValueError, match=r'a\.tif: the image is truncated: its part \d+ of 13 is'):
        parts.rows(60, 90)


def test_wrong_directory_is_told(tmp_path, picture):
    path = tmp_path / 'a.tif'
    write_tiled_tiff(path, picture, tags=[(257, 4, 4000)])
    with pytest.raises(ValueError, match=r'says 10 pieces of 64x32 for 4000x131 pixels'):
        TiffParts(path, DECODE)


def test_every_page_is_read_and_smaller_copies_are_no_pages(tmp_path):
    path = tmp_path / 'a.tif'
    rng = np.random.default_rng(0)
    pages = [rng.integers(0, 255, (6 + i, 9, 1)).astype(np.uint8) for i in range(4)]
    write_band_tiff(path, *pages, reduced=[1])
    assert read_header(path).pages == 3
    unchanged = LoadImageFromFile(color_type='unchanged').decode
    for page, expected in enumerate([pages[0], pages[2], pages[3]]):
        parts = TiffParts(path, unchanged, page)
        np.testing.assert_array_equal(parts.rows(0, parts.height), expected[..., 0])
    with pytest.raises(ValueError, match=r'a\.tif: the TIFF has no page 3'):
        TiffParts(path, unchanged, 3)
