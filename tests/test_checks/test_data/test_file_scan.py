"""One file at a time: what it is, and what is wrong with it."""

import os

import cv2
import numpy as np
import pytest
from PIL import Image

from msseg.checks.data.file_scan import count_values, find_damage, scan_image, scan_label
from msseg.utils.image_header import read_header
from msseg.utils.image_loading import ImageLoading
from tests.tiff_bands import write_band_tiff

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (12, 17, 3), np.uint8)
LABEL = RNG.integers(0, 4, (12, 17), np.uint8)


@pytest.mark.parametrize(
    ('mode', 'name', 'form', 'is_grey'),
    [
        ('RGB', 'a.png', 'PNG RGB, 8 bits', False),
        ('RGBA', 'a.png', 'PNG RGBA, 8 bits', False),
        ('L', 'a.png', 'PNG L, 8 bits', True),
        ('LA', 'a.png', 'PNG LA, 8 bits', True),
        ('1', 'a.png', 'PNG 1, 1 bit', True),
        ('I;16', 'a.png', 'PNG I;16, 16 bits', True),
        ('L', 'a.jpg', 'JPEG L, 8 bits', True),
        ('RGB', 'a.tif', 'TIFF RGB, 8 bits', False),
        ('RGB', 'a.bmp', 'BMP RGB, 8 bits', False),
    ],
)
def test_forms_of_images(tmp_path, mode, name, form, is_grey):
    path = str(tmp_path / name)
    Image.fromarray(PICTURE).convert('L' if mode == 'I;16' else mode).convert(mode).save(path)

    scan = scan_image(path)
    assert (scan.problem, scan.form, scan.is_grey) == (None, form, is_grey)
    assert scan.size == scan.stored_size == (12, 17)
    assert len(scan.mean) == 3


def test_colour_png_of_16_bits(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), PICTURE.astype(np.uint16) * 257)
    assert scan_image(str(tmp_path / 'a.png')).form == 'PNG RGB, 16 bits'


def test_channels_of_equal_sum_are_not_grey_yet(tmp_path):
    img = np.repeat(PICTURE[..., :1], 3, axis=2)
    img[0, 0], img[0, 1] = (10, 20, 10), (20, 10, 20)
    cv2.imwrite(str(tmp_path / 'a.png'), img)
    assert not scan_image(str(tmp_path / 'a.png')).is_grey
    img[0, :2] = 7
    cv2.imwrite(str(tmp_path / 'a.png'), img)
    assert scan_image(str(tmp_path / 'a.png')).is_grey


def test_digest_is_of_the_picture_not_of_the_file(tmp_path):
    paths = [str(tmp_path / name) for name in ('a.png', 'b.bmp', 'c.png', 'd.png')]
    cv2.imwrite(paths[0], PICTURE)
    cv2.imwrite(paths[1], PICTURE)
    cv2.imwrite(paths[2], PICTURE.reshape(17, 12, 3))
    cv2.imwrite(paths[3], PICTURE ^ 1)
    digests = [scan_image(path).digest for path in paths]
    assert digests[0] == digests[1] and len(set(digests)) == 3


@pytest.mark.parametrize('orientation', [1, 3, 6, 8, 9])
def test_orientation_is_read_and_followed(tmp_path, orientation):
    path = str(tmp_path / 'a.jpg')
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(PICTURE).save(path, exif=exif)

    scan = scan_image(path)
    assert scan.orientation == (1 if orientation == 9 else orientation)
    assert scan.stored_size == (12, 17)
    assert scan.size == ((17, 12) if orientation in (6, 8) else (12, 17))
    assert scan_image(path, ImageLoading('color_ignore_orientation')).size == (12, 17)


@pytest.mark.parametrize('scan', [scan_image, scan_label])
def test_files_that_cannot_be_read(tmp_path, scan):
    assert scan(str(tmp_path / 'none.png')).problem == 'missing'
    folder = scan(str(tmp_path))
    assert (folder.problem, folder.detail) == ('unreadable', 'is a folder, expected a file')


def test_wrong_checksum(tmp_path):
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), PICTURE)
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    assert scan_image(str(path)).problem == 'unreadable'
    assert 'checksum' in find_damage(bytes(data), 'PNG')


def test_formats_that_pillow_does_not_know_are_left_to_opencv(tmp_path):
    path = str(tmp_path / 'a.tif')
    cv2.imwrite(path, PICTURE.astype(np.float32))
    with pytest.raises(OSError, match='cannot identify'):
        Image.open(path)
    scan = scan_image(path, ImageLoading('unchanged'))
    assert scan.form == 'TIFF RGB, 32 bits float'
    read = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    np.testing.assert_allclose(scan.mean, read.reshape(-1, 3).mean(axis=0, dtype=float))


GREY_16 = PICTURE[..., 0].astype(np.uint16) * 16


@pytest.mark.parametrize(
    ('name', 'array', 'form', 'channels'),
    [
        ('a.png', PICTURE.astype(np.uint16), 'PNG RGB, 16 bits', 3),
        ('a.tif', PICTURE.astype(np.uint16), 'TIFF RGB, 16 bits', 3),
        ('a.tif', np.dstack([PICTURE, PICTURE[..., 0]]).astype(np.uint16), 'TIFF RGBA, 16 bits', 4),
        ('a.tif', GREY_16, 'TIFF I;16, 16 bits', 1),
        ('a.tif', GREY_16.astype(np.float64), 'TIFF, 1 channel, 64 bits float', 1),
        ('a.pgm', GREY_16, 'PPM I, 16 bits', 1),
        ('a.ppm', PICTURE.astype(np.uint16) * 16, 'PPM RGB, 16 bits', 3),
        ('a.hdr', PICTURE.astype(np.float32), 'HDR RGB, 32 bits float', 3),
        ('a.webp', PICTURE, 'WEBP RGB, 8 bits', 3),
    ],
)
def test_a_header_tells_the_true_depth_and_channels(tmp_path, name, array, form, channels):
    path = tmp_path / name
    assert cv2.imwrite(str(path), array)
    for source in (path, path.read_bytes()):
        header = read_header(source)
        assert (header.form, header.channels, header.size) == (form, channels, (12, 17))


def test_a_header_of_bands_pages_and_arrays(tmp_path):
    write_band_tiff(tmp_path / 'a.tif', *[np.zeros((4, 5, 12), np.uint16)] * 3, reduced=[1])
    assert read_header(tmp_path / 'a.tif').form == 'TIFF, 12 channels, 16 bits, 2 pages'
    np.save(tmp_path / 'a.npy', np.zeros((4, 5, 7), np.float32))
    header = read_header(tmp_path / 'a.npy')
    assert (header.form, header.size) == ('NPY, 7 channels, 32 bits float', (4, 5))
    frames = [Image.fromarray(PICTURE), Image.fromarray(PICTURE[::-1])]
    for name in ('a.gif', 'a.png', 'a.webp'):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        assert read_header(tmp_path / name).pages == 2
    for deep in (True, False):  # JPEG 2000 as Pillow writes it
        img = Image.fromarray(GREY_16 if deep else PICTURE[..., 0])
        img.save(tmp_path / 'a.jp2')
        assert read_header(tmp_path / 'a.jp2').bits == (16 if deep else 8)
    (tmp_path / 'a.txt').write_text('no image')
    assert read_header(tmp_path / 'a.txt') is None


def test_what_is_in_a_file_and_not_taken_is_noted(tmp_path):
    path = str(tmp_path / 'a.tif')
    cv2.imwrite(path, np.dstack([PICTURE, PICTURE[..., 0]]).astype(np.uint16) * 16)
    scan = scan_image(path)
    assert [each.kind for each in scan.unused] == ['bits', 'channels']
    largest = 16 * int(PICTURE.max())
    assert scan.largest == f'values to {largest}, so max_value=4095'
    scaled = scan_image(path, ImageLoading(max_value=16 * 255))
    assert [each.kind for each in scaled.unused] == ['channels']
    np.testing.assert_allclose(scaled.mean, PICTURE.reshape(-1, 3).mean(axis=0), rtol=1e-5)
    assert scan_image(path, ImageLoading('unchanged')).unused == ()
    write_band_tiff(tmp_path / 'b.tif', np.zeros((4, 5, 12), np.uint8))
    scan = scan_image(str(tmp_path / 'b.tif'))
    assert scan.problem == 'setting' and 'holds 12 channels' in scan.detail
    write_band_tiff(tmp_path / 'b.tif', *[np.zeros((4, 5, 1), np.uint8)] * 3)
    assert [each.kind for each in scan_image(str(tmp_path / 'b.tif')).unused] == ['pages']
    label = scan_label(str(tmp_path / 'b.tif'))
    assert label.problem and 'holds 3 pages' in label.detail


@pytest.mark.parametrize('scan', [scan_image, scan_label])
def test_odd_files_are_not_waited_for(tmp_path, scan):
    os.mkfifo(tmp_path / 'pipe.png')
    (tmp_path / 'zero.png').symlink_to('/dev/zero')
    for name, words in (('pipe.png', 'is a named pipe'), ('zero.png', 'is a device')):
        found = scan(str(tmp_path / name))
        assert found.problem == 'unreadable' and words in found.detail


@pytest.mark.parametrize('scan', [scan_image, scan_label])
def test_a_file_beyond_the_limit_of_pixels_needs_a_setting(tmp_path, monkeypatch, scan):
    path = str(tmp_path / 'a.png')
    Image.new('1', (300, 200)).save(path)
    monkeypatch.setenv('MSSEG_MAX_IMAGE_PIXELS', '59999')
    found = scan(path)
    assert found.problem == 'setting'
    assert 'is of 200x300 pixels' in found.detail and 'MSSEG_MAX_IMAGE_PIXELS=60000' in found.detail
    monkeypatch.setenv('MSSEG_MAX_IMAGE_PIXELS', '60000')
    assert scan(path).problem is None


def test_labels_are_counted_as_they_are(tmp_path):
    path = str(tmp_path / 'a.png')
    for label in (LABEL, LABEL.astype(np.uint16) * 1000):
        cv2.imwrite(path, label)
        expected = {int(v): int((label == v).sum()) for v in np.unique(label)}
        scan = scan_label(path)
        assert (scan.values, scan.is_colour, scan.palette) == (expected, False, {})
        assert scan.bits == label.itemsize * 8
    Image.fromarray(PICTURE).save(path)
    scan = scan_label(path)
    packed = (PICTURE.astype(int) * [65536, 256, 1]).sum(axis=2)
    assert scan.is_colour
    assert scan.values == {int(v): int((packed == v).sum()) for v in np.unique(packed)}


def test_palette_of_the_values_in_use(tmp_path):
    img = Image.fromarray(LABEL).convert('P')
    img.putpalette([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])
    img.save(tmp_path / 'a.png')
    scan = scan_label(str(tmp_path / 'a.png'))
    assert scan.palette == {0: (1, 2, 3), 1: (4, 5, 6), 2: (7, 8, 9), 3: (10, 11, 12)}
    assert scan.values == {v: int((v == LABEL).sum()) for v in range(4)}


def test_many_values_are_lumped_together():
    values = np.concatenate([np.arange(100), np.full(50, 7), np.full(40, 300)]).astype(np.int32)
    counts, lumped = count_values(values, most=2)
    assert counts == {7: 51, 300: 40} and lumped == 99
    assert count_values(values)[1] == 0
    counts, _ = count_values(np.zeros((0, 3), np.uint8))
    assert counts == {}


def test_large_labels_are_counted_in_parts():
    label = np.tile(np.arange(5, dtype=np.uint8), 1_000_000)
    assert count_values(label) == (dict.fromkeys(range(5), 1000000), 0)
