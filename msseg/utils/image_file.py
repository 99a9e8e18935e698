"""Reading image files: decoded whole, or an error that names the file."""

from __future__ import annotations

import io
import os
import re
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from msseg.utils.extras import import_extra
from msseg.utils.image_header import PILLOW_ERRORS, ImageHeader, opened_by_pillow, read_header
from msseg.utils.image_values import (
    ImageSettingError,
    ValueScale,
    as_color_type,
    check_colours,
    find_unused,
    largest_value,
)
from msseg.utils.logging import get_logger, is_first
from msseg.utils.regular_file import check_regular

COLOR_TYPES = {
    'color': cv2.IMREAD_COLOR,
    'grayscale': cv2.IMREAD_GRAYSCALE,
    'unchanged': cv2.IMREAD_UNCHANGED,
    'color_ignore_orientation': cv2.IMREAD_IGNORE_ORIENTATION | cv2.IMREAD_COLOR,
    'grayscale_ignore_orientation': cv2.IMREAD_IGNORE_ORIENTATION | cv2.IMREAD_GRAYSCALE,
}
BACKENDS = ('cv2', 'pillow')
# A decoded image of so many pixels takes 1.2 GB, and what follows several times that. A file of
# some kilobytes may claim any size.
PIXEL_LIMIT, PIXEL_LIMIT_VARIABLE = 400_000_000, 'MSSEG_MAX_IMAGE_PIXELS'

_PNG_END = b'IEND\xaeB`\x82'
_PNG_SIGNATURE_BYTES, _PNG_CHUNK_BYTES = 8, 12  # length, name and checksum of a chunk
_JPEG_END = b'\xff\xd9'
# A marker, where stuffed and restart bytes of the coded data are none.
_JPEG_MARKER = re.compile(rb'\xff[^\x00\xff\xd0-\xd7]')
_OPENCV_TYPES = ('uint8', 'uint16', 'int16', 'float32')  # of those that OpenCV resizes
_EXTRA_SAMPLES, _UNASSOCIATED = 338, 2  # a tag of TIFF, and one of its values
# OpenCV 4.11's decoder of JPEG 2000 crashes on some damaged files, so Pillow's is taken; of colours
# of 16 bits, of which that has 8, it only looks whether they are whole.
_JPEG_2000 = (b'\0\0\0\x0cjP  ', b'\xff\x4f\xff\x51')
_MEAN_COLOUR = (124, 117, 104)  # behind transparent pixels, as MMCV has it


def read_bytes(path: str | Path) -> bytes:
    """Read a file whole.

    Args:
        path: The file.

    Returns:
        Its content.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is empty, no regular file, or a PNG or JPEG file without its end.
    """
    check_regular(path)
    try:
        data = Path(path).read_bytes()
    except MemoryError:
        raise ValueError(
            f'{path}: the file is larger than memory ({os.path.getsize(path)} bytes)'
        ) from None
    if not data:
        raise ValueError(f'{path}: the file is empty; copy or download it again')
    if not is_whole(data):
        raise ValueError(
            f'{path}: the image is truncated: {len(data)} bytes without the end of the picture; '
            'copy or download it again'
        )
    return data


def is_whole(data: bytes) -> bool:
    """Tell whether a file has its end: False for a PNG or JPEG file without it.

    Decoders fill what is missing with grey and go on, so a cut file must be found here. Whatever
    follows the end of the picture, such as a telephone's film, does not matter.
    """
    if data[:4] == b'\x89PNG':
        return data.endswith(_PNG_END) or _has_png_end(data)
    if data[:2] == b'\xff\xd8':
        return data.endswith(_JPEG_END) or _has_jpeg_end(data)
    return True


def pixel_limit() -> int:
    """Return how many pixels an image may have: MSSEG_MAX_IMAGE_PIXELS, else `PIXEL_LIMIT`.

    Raises:
        ValueError: The variable is no positive whole number.
    """
    text = os.environ.get(PIXEL_LIMIT_VARIABLE, '').strip()
    if not text:
        return PIXEL_LIMIT
    if not text.isascii() or not text.isdigit() or not int(text):
        raise ValueError(
            f'environment variable {PIXEL_LIMIT_VARIABLE} is {text!r}, expected a number of pixels '
            f'such as {PIXEL_LIMIT}'
        )
    return int(text)


def check_pixels(size: tuple[int, int], path: str | Path) -> None:
    """Raise ImageSettingError for more pixels than `pixel_limit`; nothing is decoded."""
    h, w = size
    if min(size) < 1:
        raise ValueError(f'{path}: the image is of {h}x{w} pixels; copy it again')
    limit = pixel_limit()
    if h * w > limit:
        raise ImageSettingError(
            f'{path}: the image is of {h}x{w} pixels, {h * w} in all, more than the limit of '
            f'{limit}; set the environment variable {PIXEL_LIMIT_VARIABLE}={h * w} to read it'
        )


def check_settings(header: ImageHeader, color_type: str, is_scaled: bool, path: str | Path) -> None:
    """Raise ImageSettingError for a file that `decode_image` would refuse though it is whole."""
    check_pixels(header.size, path)
    if color_type == 'unchanged':
        return
    check_colours(header, path)
    if header.bits > 8 and header.dtype != 'uint16' and not is_scaled:
        raise ImageSettingError(
            f'{path}: holds {header.bits}-bit numbers ({header.dtype}), which have no fixed scale: '
            'give LoadImageFromFile max_value, the value to show as white, or percentiles=(1, 99), '
            "or load them as they are with color_type='unchanged'"
        )


def decode_image(
    data: bytes,
    path: str | Path,
    color_type: str,
    backend: str,
    scale: ValueScale | None = None,
    header: ImageHeader | None = None,
) -> np.ndarray:
    """Decode an image.

    Args:
        data: The file's content.
        path: The file's name, for errors.
        color_type: A key of `COLOR_TYPES`.
        backend: ``cv2`` or ``pillow``; files of more than 8 bits are read the same by both.
        scale: How values become 0 to 255; None takes the upper 8 of 16 bits.
        header: What `read_header` gave for `data`, where it has been read.

    Returns:
        (h, w, 3) in BGR order, or (h, w) for grayscale; ``unchanged`` gives what the file holds.
        uint8, with `scale` float32; ``unchanged`` has the type of the file.

    Raises:
        ImportError: A TIFF of many channels needs the package tifffile, which is missing.
        ValueError: It cannot be decoded, is too large, or holds values that need `scale`.

    Source: MMCV 1.7 ``mmcv.imfrombytes``.
    """
    header = header or read_header(data)
    if header is not None:
        check_settings(header, color_type, scale is not None, path)
    if data.startswith(_JPEG_2000):
        backend = 'pillow'
        if header is None:
            raise ValueError(_undecodable(path, data))
    is_deep = header is not None and header.bits > 8
    is_unchanged = color_type == 'unchanged'
    if header is not None and (is_deep or header.kind == 'NPY' or _is_rgba_tiff(header)):
        is_array = header.kind == 'NPY'
        img = _load_array(data, path) if is_array else _decode_unchanged(data, path, header)
        if not is_unchanged:
            img = as_color_type(img, header, color_type)
            if scale is None and img.dtype == np.uint16:
                img = (img >> 8).astype(np.uint8)
    elif (
        is_unchanged and header is not None and header.kind == 'TIFF' and header.mode in ('', 'LA')
    ):
        img = _decode_unchanged(data, path, header)
    elif backend == 'cv2':
        img = _decode_with_cv2(data, path, COLOR_TYPES[color_type])
    else:
        img = _decode_with_pillow(data, path, color_type)
    if is_unchanged and header is not None and header.channels == 2 and img.shape[2:] == (4,):
        img = img[:, :, [0, 3]]  # OpenCV gives grey with opacity as colours with opacity
    if img.dtype.name not in _OPENCV_TYPES:
        img = img.astype(np.uint8 if img.dtype == bool else np.float32)
    return img if scale is None else scale(img)


def warn_of_unused(
    header: ImageHeader,
    path: str | Path,
    color_type: str,
    is_scaled: bool,
    who: str,
    data: bytes | None = None,
) -> None:
    """Log once what files hold and loading leaves out.

    Args:
        header: A file's.
        path: The file.
        color_type: As it is decoded.
        is_scaled: Whether values are scaled.
        who: Whose files: a data set or a model, for which each kind is said once.
        data: The file's content, to look for its largest value.
    """
    for unused in find_unused(header, color_type, is_scaled):
        if is_first_unused(unused.kind, who, color_type):
            text = f'{path}: {unused}'
            if unused.kind == 'bits' and data is not None:
                values = decode_image(data, path, 'unchanged', 'cv2', header=header)
                text = f'{text}. This one has {largest_value(values)}'
            get_logger().warning('%s', text)


def is_first_unused(kind: str, who: str, color_type: str) -> bool:
    """Return whether what is not taken of some files is asked about for the first time.

    Args:
        kind: As `Unused` has it.
        who: Whose files: the folder of a data set's images, or a model.
        color_type: As they are decoded.
    """
    return is_first(f'{kind} {who} {color_type}')


def _decode_with_cv2(data: bytes, path: str | Path, flags: int) -> np.ndarray:
    img = _imdecode(data, flags)
    if img is None:
        raise ValueError(_undecodable(path, data))
    return img


def _imdecode(data: bytes, flags: int) -> np.ndarray | None:
    """Decode with OpenCV, None where it cannot.

    libpng writes a line to stderr about every colour profile that it does not like, which OpenCV
    does not use, and about damage: it is given neither.
    """
    if data[:4] == b'\x89PNG':
        data = _without_profile(data)
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error:
        return None


def _without_profile(data: bytes) -> bytes:
    """Return a PNG without its colour profile; nothing of one with a damaged chunk."""
    kept, start = [data[:_PNG_SIGNATURE_BYTES]], _PNG_SIGNATURE_BYTES
    while start + _PNG_CHUNK_BYTES <= len(data):
        length, name = int.from_bytes(data[start : start + 4], 'big'), data[start + 4 : start + 8]
        end = start + _PNG_CHUNK_BYTES + length
        checksum = int.from_bytes(data[end - 4 : end], 'big')
        if zlib.crc32(data[start + 4 : end - 4]) == checksum:
            if name != b'iCCP':
                kept.append(data[start:end])
        elif name[:1].isupper():  # a chunk that no decoder may do without
            return b''
        if name == b'IEND':
            break
        start = end
    return b''.join(kept)


def _decode_unchanged(data: bytes, path: str | Path, header: ImageHeader) -> np.ndarray:
    """Decode what OpenCV reads in the file's own type; colours in BGR order."""
    if header.kind == 'JPEG2000':
        img = _decode_with_pillow(data, path, 'unchanged')
        if header.channels == 1:
            return img
    img = None
    has_colours = header.channels == 1 or header.mode != ''  # else OpenCV drops or swaps channels
    if _is_rgba_tiff(header) and header.bits == 8 and _has_separate_alpha(data):
        # OpenCV multiplies the colours by it
        img = _decode_with_pillow(data, path, 'unchanged')
    elif header.kind != 'TIFF' or (has_colours and header.channels <= 4):
        img = _imdecode(data, cv2.IMREAD_UNCHANGED)
    channels = 0 if img is None else 1 if img.ndim == 2 else img.shape[2]
    if header.kind == 'TIFF' and channels != header.channels:
        img = _decode_with_tifffile(data, path, header)
    if img is None:
        raise ValueError(_undecodable(path, data))
    return img


def _is_rgba_tiff(header: ImageHeader) -> bool:
    return header.kind == 'TIFF' and header.mode == 'RGBA'


def _has_separate_alpha(data: bytes) -> bool:
    """Whether the colours of a TIFF are not multiplied by its fourth channel yet."""
    try:
        with opened_by_pillow(io.BytesIO(data)) as img:
            return img.tag_v2.get(_EXTRA_SAMPLES) == (_UNASSOCIATED,)
    except PILLOW_ERRORS:
        return False


def _decode_with_tifffile(data: bytes, path: str | Path, header: ImageHeader) -> np.ndarray:
    tifffile = import_extra('tifffile', 'tiff', f'{path}: a TIFF of {header.channels} channels')
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages[0]
            img = page.asarray()
            is_planar = page.planarconfig == tifffile.PLANARCONFIG.SEPARATE
    except Exception as error:
        raise ValueError(f'{_undecodable(path, data)} ({error})') from None
    if img.ndim == 3 and is_planar:
        img = img.transpose(1, 2, 0)
    if img.shape[:2] != header.size:
        raise ValueError(f'{_undecodable(path, data)} (shape {img.shape})')
    return np.ascontiguousarray(img)


def _load_array(data: bytes, path: str | Path) -> np.ndarray:
    try:
        img = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f'{path}: cannot be read as a numpy array ({error})') from None
    # an image with more channels than columns is one with the channels first
    if img.ndim == 3 and img.shape[0] <= 16 < img.shape[2]:
        raise ValueError(
            f'{path}: the array is of shape {img.shape}, expected (h, w, channels); save it with '
            'array.transpose(1, 2, 0)'
        )
    return img.astype(img.dtype.newbyteorder('='), copy=False)


def _decode_with_pillow(data: bytes, path: str | Path, color_type: str) -> np.ndarray:
    try:
        with opened_by_pillow(io.BytesIO(data)) as img:
            img.load()
            if color_type == 'unchanged':
                array = np.array(img.convert('L') if img.mode == '1' else img)
                if array.ndim == 3 and array.shape[2] >= 3:
                    array[:, :, :3] = array[:, :, (2, 1, 0)]
                return array
            if not color_type.endswith('ignore_orientation'):
                img = ImageOps.exif_transpose(img)
            if img.mode == 'LA':
                img = _on_mean_colour(img)
            if color_type.startswith('color'):
                return np.ascontiguousarray(np.array(img.convert('RGB'))[:, :, ::-1])
            return np.array(img.convert('RGB').convert('L'))
    except Exception as error:
        raise ValueError(f'{_undecodable(path, data)} ({error})') from None


def _on_mean_colour(img: Image.Image) -> Image.Image:
    behind = Image.new('RGB', img.size, _MEAN_COLOUR)
    rgba = img.convert('RGBA')
    behind.paste(rgba, mask=rgba.split()[3])
    return behind


def _has_png_end(data: bytes) -> bool:
    """Walk a PNG's chunks from the start."""
    start = _PNG_SIGNATURE_BYTES
    while start + _PNG_CHUNK_BYTES <= len(data):
        length, name = int.from_bytes(data[start : start + 4], 'big'), data[start + 4 : start + 8]
        start += _PNG_CHUNK_BYTES + length
        if name == b'IEND':
            return start <= len(data)
    return False


def _has_jpeg_end(data: bytes) -> bool:
    """Walk a JPEG's segments from the start, and through the coded data between them."""
    start = 2
    while True:
        marker = _JPEG_MARKER.search(data, start)
        if marker is None:
            return False
        code, start = data[marker.end() - 1], marker.end()
        if code == _JPEG_END[1]:
            return True
        if code != 1:  # the only other marker without a length
            start += int.from_bytes(data[start : start + 2], 'big')


def _undecodable(path: str | Path, data: bytes) -> str:
    return (
        f'{path}: cannot be decoded as an image (its first bytes are {data[:8]!r}); '
        'it is damaged or of another format: copy it again, or save it as PNG or JPEG'
    )
