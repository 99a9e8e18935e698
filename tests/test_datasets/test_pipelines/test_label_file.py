"""Labels are indices, whatever kind of file holds them."""

import copy
import pickle
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from msseg.datasets.pipelines.label_file import read_label
from msseg.datasets.pipelines.label_map import map_values, parse_label_map

LABEL = np.array([[0, 1, 2, 3], [3, 2, 1, 0], [1, 1, 1, 1]], np.uint8)


def write_png(path, bits, rows):
    """Write a grey PNG of fewer than 8 bits a pixel, which no library here writes."""
    height, width = rows.shape
    raw = b''
    for row in rows:
        text = ''.join(f'{v:0{bits}b}' for v in row)
        text += '0' * (-len(text) % 8)
        raw += b'\0' + bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))
    data = b'\x89PNG\r\n\x1a\n'
    header = struct.pack('>IIBBBBB', width, height, bits, 0, 0, 0, 0)
    for kind, body in ((b'IHDR', header), (b'IDAT', zlib.compress(raw)), (b'IEND', b'')):
        data += struct.pack('>I', len(body)) + kind + body
        data += struct.pack('>I', zlib.crc32(kind + body))
    path.write_bytes(data)


def test_grey_png(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), LABEL)

    got = read_label(tmp_path / 'a.png')
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, LABEL)


def test_palette_png_gives_indices_not_colours(tmp_path):
    img = Image.fromarray(LABEL, 'P')
    img.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0, 0, 0, 200])
    img.save(tmp_path / 'a.png')

    np.testing.assert_array_equal(read_label(tmp_path / 'a.png'), LABEL)


def test_16_bit_png(tmp_path):
    wide = LABEL.astype(np.uint16)
    cv2.imwrite(str(tmp_path / 'small.png'), wide)
    cv2.imwrite(str(tmp_path / 'large.png'), wide * 1000)

    small = read_label(tmp_path / 'small.png')
    assert small.dtype == np.uint8
    np.testing.assert_array_equal(small, LABEL)
    np.testing.assert_array_equal(read_label(tmp_path / 'large.png'), LABEL.astype(int) * 1000)
    mapped = read_label(tmp_path / 'large.png', {1000: 1, 2000: 2, 3000: 255})
    np.testing.assert_array_equal(mapped, np.choose(LABEL, [0, 1, 2, 255]))


@pytest.mark.parametrize('bits', [1, 2, 4])
def test_png_of_few_bits_is_not_stretched(bits, tmp_path):
    label = LABEL % 2**bits
    write_png(tmp_path / 'a.png', bits, label)

    np.testing.assert_array_equal(read_label(tmp_path / 'a.png'), label)


@pytest.mark.parametrize('suffix', ['.bmp', '.tif', '.gif'])
def test_other_formats(suffix, tmp_path):
    Image.fromarray(LABEL).save(tmp_path / f'a{suffix}')

    np.testing.assert_array_equal(read_label(tmp_path / f'a{suffix}'), LABEL)


def test_colours_through_label_map(tmp_path):
    colours = np.array([[10, 20, 30], [128, 0, 0], [0, 128, 0], [0, 0, 128]], np.uint8)
    Image.fromarray(colours[LABEL]).save(tmp_path / 'a.png')
    label_map = {(10, 20, 30): 255, (128, 0, 0): 0, (0, 128, 0): 1, (0, 0, 128): 2}

    got = read_label(tmp_path / 'a.png', label_map)
    np.testing.assert_array_equal(got, np.choose(LABEL, [255, 0, 1, 2]))
    with pytest.raises(
        ValueError, match=r'a.png: label_map lacks the colours \(0, 0, 128\) \(2 px'
    ):
        read_label(tmp_path / 'a.png', {k: v for k, v in label_map.items() if v != 2})
    with pytest.raises(ValueError, match=r'a.png: the label is an RGB picture .*label_map='):
        read_label(tmp_path / 'a.png')


def test_what_cannot_be_a_label(tmp_path):
    Image.fromarray(LABEL).save(tmp_path / 'a.jpg')
    Image.fromarray(np.zeros((4, 4, 4), np.uint8), 'RGBA').save(tmp_path / 'alpha.png')
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / 'real.tif')
    (tmp_path / 'text.png').write_text('no picture')
    cv2.imwrite(str(tmp_path / 'grey.png'), LABEL)
    whole = (tmp_path / 'grey.png').read_bytes()
    (tmp_path / 'cut.png').write_bytes(whole[:-20])

    for name, message in (
        ('a.jpg', 'JPEG changes label values; save labels as single-channel PNG'),
        ('alpha.png', 'the label is PNG RGBA, 8 bits.*Save it as single-channel PNG'),
        ('real.tif', 'the label is TIFF F, 32 bits float.*Save it as single-channel PNG'),
        ('text.png', 'cannot be decoded as a label image'),
        ('cut.png', 'the image is truncated'),
    ):
        with pytest.raises(ValueError, match=f'{name}: .*{message}'):
            read_label(tmp_path / name)
    with pytest.raises(FileNotFoundError, match='none.png: there is no such file'):
        read_label(tmp_path / 'none.png')
    with pytest.raises(ValueError, match='label_map is from colours, but the file is single-chan'):
        read_label(tmp_path / 'grey.png', {(1, 2, 3): 0})


def test_values_that_the_map_lacks_stay():
    np.testing.assert_array_equal(
        map_values(LABEL, {3: 255, 9: 1}), np.choose(LABEL, [0, 1, 2, 255])
    )
    swapped = map_values(LABEL, {0: 1, 1: 0})
    np.testing.assert_array_equal(swapped, np.choose(LABEL, [1, 0, 2, 3]))
    assert map_values(LABEL, {3: -100}).min() == -100


def test_label_map_from_texts():
    assert parse_label_map({'255': 1, '128,0, 64': 2, '(1, 2, 3)': 0}, 'X') == {
        255: 1,
        (128, 0, 64): 2,
        (1, 2, 3): 0,
    }
    assert parse_label_map(None, 'X') is None


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.int32])
def test_ranges_stand_for_their_values(dtype, tmp_path):
    label = np.array([[0, 1, 2, 3, 7, 8, 255]], dtype)
    if dtype != np.uint8:
        label[0, 6] = 40000
    Image.fromarray(label).save(tmp_path / 'a.tif')
    assert read_label(tmp_path / 'a.tif', parse_label_map({'1-': 1}, 'X')).tolist() == [
        [0, 1, 1, 1, 1, 1, 1]
    ]
    some = parse_label_map({'3 - 7': 1, 8: 0, '9-': 255, 2: 5}, 'X')
    assert read_label(tmp_path / 'a.tif', some).tolist() == [[0, 1, 5, 1, 1, 0, 255]]
    # an old value is looked up once: 0 becomes 1 and stays that
    both = parse_label_map({'0-0': 1, '1-': 0}, 'X')
    assert read_label(tmp_path / 'a.tif', both).tolist() == [[1, 0, 0, 0, 0, 0, 0]]


def test_a_label_map_finds_the_values_of_its_ranges():
    label_map = parse_label_map({'1-254': 1, '255': 255, '1,2,3': 7}, 'X')
    for same in (label_map, pickle.loads(pickle.dumps(label_map)), copy.deepcopy(label_map)):
        assert [same.get(value) for value in (0, 1, 254, 255, 256)] == [None, 1, 1, 255, None]
        assert np.int64(9) in same and 0 not in same and (1, 2, 3) in same and (1, 2, 4) not in same
        assert bool(same)
        with pytest.raises(KeyError):
            same[0]


@pytest.mark.parametrize(
    'wrong, error, message',
    [
        ([1], TypeError, r'X: label_map=\[1\]; expected a dict'),
        ({}, TypeError, 'expected a dict'),
        ({'red': 1}, ValueError, "key 'red'"),
        ({(1, 2): 1}, ValueError, r'key \(1, 2\)'),
        ({(1, 2, 300): 1}, ValueError, 'three numbers'),
        ({1: 'car'}, ValueError, "maps 1 to 'car'; expected a class index"),
        ({-1: 0}, ValueError, 'a value of 0 or more'),
        ({'-5': 1}, ValueError, r"key '-5'; expected .* a range such as '3-7', '0-7' or '1-'"),
        ({'7-3': 1}, ValueError, "key '7-3', a range that ends before it begins"),
        ({'1-2-3': 1}, ValueError, "key '1-2-3'"),
        ({'-': 1}, ValueError, "key '-'"),
        ({'²': 1}, ValueError, "key '²'"),
        ({'1-': 1, 255: 255}, ValueError, "the keys '1-' and 255, which overlap"),
        ({'3-7': 1, '7-9': 2}, ValueError, "the keys '3-7' and '7-9', which overlap"),
        ({255: 1, '255': 2}, ValueError, "the keys 255 and '255', which overlap"),
        ({(1, 2, 3): 1, '1,2,3': 2}, ValueError, r"\(1, 2, 3\) and '1,2,3', which overlap"),
        ({'1-': True}, ValueError, "maps '1-' to True"),
    ],
)
def test_wrong_label_map(wrong, error, message):
    with pytest.raises(error, match=message):
        parse_label_map(wrong, 'X')
