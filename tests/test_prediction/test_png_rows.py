import numpy as np
import pytest
from PIL import Image

from msseg.prediction.results import writing_png


def write(path, picture, palette, step):
    with writing_png(path, picture.shape[:2], palette) as write_rows:
        for top in range(0, len(picture), step):
            write_rows(picture[top : top + step])
        write_rows(picture[:0])


@pytest.mark.parametrize('step', [1, 7, 100])
def test_colours(tmp_path, step):
    picture = np.random.default_rng(0).integers(0, 256, (40, 33, 3)).astype(np.uint8)
    write(tmp_path / 'a.png', picture, None, step)
    image = Image.open(tmp_path / 'a.png')
    assert image.mode == 'RGB'
    np.testing.assert_array_equal(np.array(image)[..., ::-1], picture)


@pytest.mark.parametrize('dtype', [np.uint8, np.int32])
def test_indices_with_palette(tmp_path, dtype):
    labels = np.random.default_rng(0).integers(0, 3, (40, 33)).astype(dtype)
    palette = [(0, 10, 20), (255, 0, 0), (1, 2, 3)]
    write(tmp_path / 'a.png', labels, palette, 9)
    image = Image.open(tmp_path / 'a.png')
    assert image.mode == 'P'
    np.testing.assert_array_equal(np.array(image), labels)
    np.testing.assert_array_equal(np.array(image.convert('RGB')), np.array(palette)[labels])


def test_more_than_256_classes_are_16_bit_grey(tmp_path):
    labels = np.random.default_rng(0).integers(0, 300, (40, 33)).astype(np.uint16)
    write(tmp_path / 'a.png', labels, [(0, 0, 0)] * 300, 9)
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / 'a.png')), labels)


def test_large_pictures_are_many_chunks(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (700, 900, 3)).astype(np.uint8)
    write(tmp_path / 'a.png', picture, None, 300)
    data = (tmp_path / 'a.png').read_bytes()
    assert data.count(b'IDAT') > 1
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / 'a.png'))[..., ::-1], picture)
