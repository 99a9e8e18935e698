"""Reading images and labels from files."""

import cv2
import numpy as np
import pytest
from PIL import Image

from msseg.datasets.pipelines import LoadAnnotations, LoadImageFromFile

IMG = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)  # BGR


@pytest.fixture
def folder(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), IMG)
    cv2.imwrite(str(tmp_path / 'a.jpg'), np.full((40, 40, 3), 90, np.uint8))
    cv2.imwrite(str(tmp_path / 'label.png'), np.arange(35, dtype=np.uint8).reshape(5, 7) % 4)
    return tmp_path


def load(folder, name='a.png', **arguments):
    results = dict(img_prefix=str(folder), img_info=dict(filename=name))
    return LoadImageFromFile(**arguments)(results)


def load_label(folder, name='label.png', transform=None, **results):
    results = dict(seg_prefix=str(folder), ann_info=dict(seg_map=name), seg_fields=[], **results)
    return (transform or LoadAnnotations())(results)['gt_semantic_seg']


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
def test_image_and_what_is_known_of_it(folder, backend):
    results = load(folder, imdecode_backend=backend)

    np.testing.assert_array_equal(results['img'], IMG)
    assert results['filename'] == str(folder / 'a.png')
    assert results['ori_filename'] == 'a.png'
    assert results['img_shape'] == results['ori_shape'] == results['pad_shape'] == (5, 7, 3)
    assert results['scale_factor'] == 1.0
    assert results['img_norm_cfg']['mean'].tolist() == [0, 0, 0]


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
def test_color_types(folder, backend):
    for color_type in ('color', 'color_ignore_orientation', 'unchanged'):
        got = load(folder, color_type=color_type, imdecode_backend=backend)['img']
        np.testing.assert_array_equal(got, IMG)
    grey = cv2.cvtColor(IMG, cv2.COLOR_BGR2GRAY).astype(int)
    for color_type in ('grayscale', 'grayscale_ignore_orientation'):
        results = load(folder, color_type=color_type, imdecode_backend=backend)
        assert np.abs(results['img'] - grey).max() <= 1
        assert results['img_norm_cfg']['std'].tolist() == [1]


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
def test_orientation(folder, backend):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.fromarray(np.zeros((4, 9, 3), np.uint8)).save(folder / 'turned.jpg', exif=exif)

    turned = load(folder, 'turned.jpg', imdecode_backend=backend)['img']
    kept = load(
        folder, 'turned.jpg', imdecode_backend=backend, color_type='color_ignore_orientation'
    )['img']
    assert turned.shape == (9, 4, 3) and kept.shape == (4, 9, 3)


def test_transparent_grey_lies_on_a_mean_colour(folder):
    Image.fromarray(np.zeros((3, 3, 2), np.uint8), 'LA').save(folder / 'la.png')

    img = load(folder, 'la.png', imdecode_backend='pillow')['img']
    assert img[0, 0].tolist() == [104, 117, 124]


def test_float_and_without_prefix(folder):
    results = dict(img_prefix=None, img_info=dict(filename=str(folder / 'a.png')))
    results = LoadImageFromFile(to_float32=True, file_client_args=dict(backend='disk'))(results)

    assert results['img'].dtype == np.float32


@pytest.mark.parametrize('name', ['a.png', 'a.jpg'])
@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
def test_truncated_image(folder, name, backend):
    whole = (folder / name).read_bytes()
    for length in (len(whole) // 2, len(whole) - 3):
        (folder / name).write_bytes(whole[:length])
        with pytest.raises(ValueError, match=f'{name}: the image is truncated: {length} bytes'):
            load(folder, name, imdecode_backend=backend)


def test_bytes_after_the_end_are_no_matter(folder):
    for name in ('a.png', 'a.jpg'):
        before = load(folder, name)['img']
        (folder / name).write_bytes((folder / name).read_bytes() + b'\0' * 10)
        np.testing.assert_array_equal(load(folder, name)['img'], before)


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
def test_no_image(folder, backend):
    (folder / 'text.png').write_text('hello, world')
    (folder / 'empty.png').write_bytes(b'')

    with pytest.raises(ValueError, match='text.png: cannot be decoded as an image'):
        load(folder, 'text.png', imdecode_backend=backend)
    with pytest.raises(ValueError, match='empty.png: the file is empty'):
        load(folder, 'empty.png', imdecode_backend=backend)
    with pytest.raises(FileNotFoundError, match='none.png: there is no such file'):
        load(folder, 'none.png', imdecode_backend=backend)


def test_label_maps_apply_in_order(folder):
    raw = np.arange(35).reshape(5, 7) % 4
    np.testing.assert_array_equal(load_label(folder), raw)
    np.testing.assert_array_equal(
        load_label(folder, label_map={3: 0}), np.choose(raw, [0, 1, 2, 0])
    )
    reduced = np.choose(raw, [255, 0, 1, 2])
    np.testing.assert_array_equal(load_label(folder, reduce_zero_label=True), reduced)
    np.testing.assert_array_equal(
        load_label(folder, transform=LoadAnnotations(reduce_zero_label=True)), reduced
    )
    np.testing.assert_array_equal(
        load_label(folder, reduce_zero_label=True, class_map={0: 255, 1: 0, 2: 1}),
        np.choose(raw, [255, 255, 0, 1]),
    )


def test_ignored_pixels_stay_ignored_when_label_zero_is_dropped(folder):
    cv2.imwrite(str(folder / 'b.png'), np.array([[0, 1, 255, 7]], np.uint8))
    cv2.imwrite(str(folder / 'wide.png'), np.array([[0, 1, 300, 7]], np.uint16))

    assert load_label(folder, 'b.png', reduce_zero_label=True).tolist() == [[255, 0, 255, 6]]
    got = load_label(folder, 'b.png', reduce_zero_label=True, ignore_index=7)
    assert got.tolist() == [[7, 0, 254, 7]]
    got = load_label(folder, 'wide.png', reduce_zero_label=True)
    assert got.tolist() == [[255, 0, 299, 6]]


def test_reduce_zero_label_of_the_transform_alone_is_refused(folder):
    with pytest.raises(ValueError, match='give reduce_zero_label=True to the data set'):
        load_label(
            folder, transform=LoadAnnotations(reduce_zero_label=True), reduce_zero_label=False
        )


def test_label_values_are_checked(folder):
    load_label(folder, num_classes=4)
    with pytest.raises(ValueError, match=r'label.png: label values 3 \(8 px\)'):
        load_label(folder, num_classes=3)


def test_sizes_must_agree(folder):
    sample = load(folder)
    sample.update(seg_prefix=str(folder), ann_info=dict(seg_map='small.png'), seg_fields=[])
    cv2.imwrite(str(folder / 'small.png'), np.zeros((4, 7), np.uint8))

    with pytest.raises(ValueError, match=r'small.png: the label is 4x7 .* image .*a.png is 5x7'):
        LoadAnnotations()(sample)
