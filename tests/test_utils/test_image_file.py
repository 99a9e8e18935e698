"""Image files: where a picture ends, what is opened at all, how large it may be."""

import io
import os
import socket
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile

from msseg.checks.data.file_scan import scan_image, scan_label
from msseg.datasets.pipelines import Compose, LoadImageFromFile
from msseg.datasets.pipelines.label_file import decode_label, read_label
from msseg.utils.image_bytes import is_whole, read_bytes
from msseg.utils.image_file import decode_image, pixel_limit
from msseg.utils.image_header import read_header
from msseg.utils.image_size import rescaled_size, scaled_wh
from msseg.utils.regular_file import check_regular
from tests.tiled_tiff import write_tiled_tiff

RNG = np.random.default_rng(0)
PICTURE = cv2.resize(RNG.integers(0, 255, (6, 8, 3)).astype(np.uint8), (64, 48))


def jpeg(**options):
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, 'JPEG', **options)
    return buffer.getvalue()


def png():
    return cv2.imencode('.png', PICTURE)[1].tobytes()


def with_thumbnail():
    """A JPEG whose EXIF holds a JPEG, which has an end of its own."""
    exif = b'Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0' + jpeg(quality=30)
    return jpeg(exif=exif)


PICTURES = {
    'jpeg': jpeg, 'progressive': lambda: jpeg(progressive=True), 'png': png,
    'restarts': lambda: jpeg(restart_marker_blocks=2), 'thumbnail': with_thumbnail,
}  # fmt: skip


@pytest.mark.parametrize('name', PICTURES)
def test_what_follows_a_picture_does_not_matter(name):
    data = PICTURES[name]()
    assert is_whole(data)
    rest = [bytes(8192), b'\xff' * 50, b'\xff\xda' * 9, b'\xff\xd9\xff\xda', data]
    rest += [np.random.default_rng(seed).bytes(100_000) for seed in range(40)]
    assert all(is_whole(data + more) for more in rest)


@pytest.mark.parametrize('name', PICTURES)
def test_a_cut_picture_is_never_whole(name):
    data = PICTURES[name]()
    end = 4 if name == 'png' else 2  # within the checksum, or the marker
    for length in [*range(10, len(data) - end, 7), len(data) - 1]:
        assert not is_whole(data[:length]), length


def test_a_motion_photo_is_read_to_its_end(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(
        jpeg() + b'\0\0\0\x18ftypmp42' + RNG.bytes(50_000) + b'\xff\xda'
    )
    data = read_bytes(tmp_path / 'a.jpg')
    for backend in ('cv2', 'pillow'):
        assert decode_image(data, 'a.jpg', 'color', backend).shape == (48, 64, 3)


def test_only_regular_files_are_opened(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'zero').symlink_to('/dev/zero')
    (tmp_path / 'lost').symlink_to(tmp_path / 'nothing')
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)  # a socket's name must be short
        server.bind('socket')
    for name, words in (
        ('pipe', 'is a named pipe'), ('folder', 'is a folder'), ('zero', 'is a device'),
        ('socket', 'is a socket'),
    ):  # fmt: skip
        for function in (check_regular, read_bytes, read_label):
            with pytest.raises(ValueError, match=f'{name}: {words}, expected a file'):
                function(tmp_path / name)
    with pytest.raises(FileNotFoundError, match='lost: there is no such file'):
        read_bytes(tmp_path / 'lost')
    (tmp_path / 'file').touch()
    (tmp_path / 'link').symlink_to(tmp_path / 'file')
    check_regular(tmp_path / 'link')


@pytest.mark.parametrize('suffix', ['png', 'tif'])
@pytest.mark.parametrize('mode', ['1', 'L', 'P'])
def test_files_beyond_pillows_limit_load_and_beyond_the_own_do_not(
    tmp_path, monkeypatch, mode, suffix
):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)  # a "bomb" for Pillow from 2000
    image = Image.new(mode, (64, 48), 1)
    image.save(tmp_path / f'a.{suffix}')
    label = read_label(tmp_path / f'a.{suffix}')
    assert label.shape == (48, 64) and (label == 1).all()
    for backend in ('cv2', 'pillow'):
        data = read_bytes(tmp_path / f'a.{suffix}')
        assert decode_image(data, f'a.{suffix}', 'color', backend).shape == (48, 64, 3)
    assert Image.MAX_IMAGE_PIXELS == 1000
    monkeypatch.setenv('MSSEG_MAX_IMAGE_PIXELS', '3071')
    words = r'48x64 pixels, 3072 in all, more than the limit of 3071; .*MSSEG_MAX_IMAGE_PIXELS=3072'
    with pytest.raises(ValueError, match=rf'a\.{suffix}: the image is of {words}'):
        read_label(tmp_path / f'a.{suffix}')
    for backend in ('cv2', 'pillow'):
        with pytest.raises(ValueError, match=words):
            decode_image(data, f'a.{suffix}', 'color', backend)


def test_the_limit_of_pixels_is_a_number(monkeypatch):
    monkeypatch.delenv('MSSEG_MAX_IMAGE_PIXELS', raising=False)
    assert pixel_limit() == 400_000_000
    for text in ('many', '-1', '0', '1e9', '٣'):
        monkeypatch.setenv('MSSEG_MAX_IMAGE_PIXELS', text)
        with pytest.raises(ValueError, match='MSSEG_MAX_IMAGE_PIXELS is .*expected a number'):
            pixel_limit()


def test_no_side_is_rounded_to_nothing():
    assert rescaled_size((4, 2000), (64, 48)) == (1, 64)
    assert rescaled_size((100_000, 1), 0.001) == (100, 1)
    assert rescaled_size((4, 2000), 1.0) == (4, 2000)
    assert scaled_wh((2000, 4), 0.1) == (200, 1)


STRIPS = [(1, 3000), (3000, 1), (4, 2000), (1, 1)]


@pytest.mark.parametrize('size', STRIPS)
@pytest.mark.parametrize(
    'step',
    [
        dict(type='Resize', img_scale=(64, 48)),
        dict(type='Resize', img_scale=(64, 48), ratio_range=(0.01, 0.02)),
        dict(type='Resize', ratio_range=(0.001, 0.002)),
        dict(type='Resize', img_scale=[(64, 48), (32, 20)]),
        dict(type='Resize', img_scale=(64, 48), keep_ratio=False),
        dict(type='MultiScaleFlipAug', img_ratios=[0.01, 0.5], transforms=[dict(type='Resize')]),
        dict(type='ResizeToMultiple', size_divisor=32),
        dict(type='SegRescale', scale_factor=0.01),
    ],
)
def test_extreme_shapes_keep_a_pixel_a_side(size, step):
    for then in ([], [dict(type='RandomCrop', crop_size=(32, 32))]):
        results = dict(
            img=np.zeros((*size, 3), np.uint8), gt_semantic_seg=np.zeros(size, np.uint8),
            seg_fields=['gt_semantic_seg'], rng=np.random.default_rng(0),
        )  # fmt: skip
        steps = [step, *then] if step['type'] == 'Resize' else [step]
        found = Compose(steps)(results)
        images = found['img'] if isinstance(found['img'], list) else [found['img']]
        assert all(min(img.shape[:2]) >= 1 for img in images)
        labels = found['gt_semantic_seg']
        assert all(min(x.shape) >= 1 for x in (labels if isinstance(labels, list) else [labels]))


def test_what_opencv_refuses_names_transform_file_and_size():
    many = np.zeros((8, 8, 600), np.float32)
    resize = Compose([dict(type='Resize', img_scale=(4, 4))])
    with pytest.raises(ValueError, match=r'a\.npy: Resize cannot .*float32 of shape \(8, 8, 600\)'):
        resize(dict(img=many, filename='a.npy'))
    strip = np.zeros((1, 100_000, 3), np.uint8)
    with pytest.raises(ValueError, match='resizing an image of 1x100000: .*512x51200000 pixels'):
        Compose([dict(type='Resize', img_scale=(512, 512), min_size=512)])(dict(img=strip))


def chunk(name, content, is_whole=True):
    checksum = zlib.crc32(name + content) ^ (not is_whole)
    return len(content).to_bytes(4, 'big') + name + content + checksum.to_bytes(4, 'big')


@pytest.mark.parametrize('color_type', ['color', 'unchanged'])
def test_profiles_and_damage_of_a_png_are_not_told_by_its_library(capfd, color_type):
    whole = png()
    profile = chunk(b'iCCP', b'x\0\0' + zlib.compress(b'no profile'))
    for more in (profile, chunk(b'tEXt', b'Title\0x', is_whole=False)):
        data = whole[:33] + more + whole[33:]
        np.testing.assert_array_equal(decode_image(data, 'a.png', color_type, 'cv2'), PICTURE)
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0x55
    with pytest.raises(ValueError, match=r'a\.png: cannot be decoded'):
        decode_image(bytes(damaged), 'a.png', color_type, 'cv2')
    assert capfd.readouterr().err == ''


def encoded(kind):
    if kind == 'npy':
        content = io.BytesIO()
        np.save(content, PICTURE.astype(np.int32))
        return content.getvalue()
    content = io.BytesIO()
    grey = Image.fromarray(PICTURE[..., 0].astype(np.int32)) if kind == 'TIFF' else None
    (grey or Image.fromarray(PICTURE)).save(content, kind)
    return content.getvalue()


@pytest.mark.parametrize('kind', ['npy', 'TIFF', 'JPEG2000', 'PNG', 'WEBP', 'GIF', 'PPM'])
def test_damaged_files_load_or_are_refused_by_name(tmp_path, kind):
    path, whole, rng = tmp_path / 'a.bin', encoded(kind), np.random.default_rng(5)
    for _ in range(60):
        data = np.frombuffer(whole, np.uint8).copy()
        places = rng.integers(0, min(len(data), rng.choice([40, 200, len(data)])), 3)
        data[places] = rng.integers(0, 256, 3)
        path.write_bytes(data.tobytes())
        for scan in (scan_image, scan_label):
            scan(str(path))  # says what it found, and raises nothing
        for color_type in ('color', 'unchanged'):
            load = LoadImageFromFile(color_type=color_type, max_value=1000)
            try:
                img = load(dict(img_prefix=None, img_info=dict(filename=str(path))))['img']
            except (ValueError, ImportError) as error:
                assert str(path) in str(error)
            else:
                assert img.dtype == np.float32 and 0 not in img.shape
                assert img.min() >= 0 and img.max() <= 255


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
def test_grey_with_opacity_has_as_many_channels_as_its_header_says(backend):
    values = RNG.integers(0, 255, (5, 7, 2)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, 'PNG')
    data = buffer.getvalue()
    assert read_header(data).channels == 2
    np.testing.assert_array_equal(decode_image(data, 'a.png', 'unchanged', backend), values)


@pytest.mark.parametrize('tag', [256, 257, 258, 262, 274, 277, 339])
@pytest.mark.parametrize('kind', [2, 5, 11])
def test_a_tiff_whose_tags_are_no_whole_numbers_has_no_header(tmp_path, tag, kind):
    write_tiled_tiff(tmp_path / 'a.tif', PICTURE, tags=[(tag, kind, 3)])
    assert read_header(tmp_path / 'a.tif') is None
    scan_image(str(tmp_path / 'a.tif'))


@pytest.mark.parametrize('kind', ['PNG', 'GIF', 'BMP', 'TIFF', 'PCX', 'TGA'])
def test_a_palette_is_read_without_decoding_pixels(monkeypatch, kind):
    buffer = io.BytesIO()
    image = Image.fromarray(PICTURE).convert('P', palette=Image.Palette.ADAPTIVE, colors=7)
    image.save(buffer, kind)
    expected = Image.open(buffer).getpalette('RGB')[:21]
    monkeypatch.setattr(Image.Image, 'load', lambda self: pytest.fail('pixels are decoded'))
    monkeypatch.setattr(ImageFile.ImageFile, 'load', Image.Image.load)
    assert sum(read_header(buffer.getvalue()).palette[:7], ()) == tuple(expected)


def test_a_palette_file_of_absurd_size_is_refused_before_it_is_decoded():
    image = Image.fromarray(PICTURE).convert('P')
    buffer = io.BytesIO()
    image.save(buffer, 'PNG')
    data = buffer.getvalue()
    size = (100_000).to_bytes(4, 'big') * 2
    header = chunk(b'IHDR', size + data[24:29])
    data = data[:8] + header + data[33:]
    with pytest.raises(ValueError, match='100000x100000 pixels, .* more than the limit'):
        decode_image(data, 'a.png', 'color', 'cv2')
    with pytest.raises(ValueError, match='100000x100000 pixels, .* more than the limit'):
        decode_label(data, 'a.png')
