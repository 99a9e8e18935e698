"""Decode image files: whole, or an error that names the file."""

from __future__ import annotations

import io
import os
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageOps

from msseg.utils.extras import import_extra
from msseg.utils.image_bytes import PNG_MAGIC, without_profile
from msseg.utils.image_bytes import is_whole as is_whole  # its place until the next version
from msseg.utils.image_header import (
    ARRAY_KINDS,
    ImageHeader,
    opened_by_pillow,
    read_header,
    read_tiff_pages,
)
from msseg.utils.image_values import (
    ImageSettingError,
    Unused,
    ValueScale,
    as_color_type,
    check_colours,
    find_unused,
    largest_value,
    turn_upright,
)
from msseg.utils.logging import warn_once

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

_OPENCV_TYPES = ('uint8', 'uint16', 'int16', 'float32')  # of those that OpenCV resizes
_UNASSOCIATED = 2  # of TIFF's kinds of extra samples: opacity that colours are not multiplied by
# OpenCV 4.11's decoder of JPEG 2000 crashes on some damaged files, so Pillow's is taken; of colours
# of 16 bits, of which that has 8, it only looks whether they are whole.
_JPEG_2000 = (b'\0\0\0\x0cjP  ', b'\xff\x4f\xff\x51')
_MEAN_COLOUR = (124, 117, 104)  # behind transparent pixels, as MMCV has it
_GDAL_CACHE_MB = 64

Scale = Callable[[np.ndarray], np.ndarray]


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
        ImportError: A TIFF of many channels needs the package rasterio, which is missing.
        ValueError: It cannot be decoded, is too large, or holds values that need `scale`.
    """
    header = header or read_header(data)
    if header is not None:
        check_settings(header, color_type, scale is not None, path)
    img, header = decode_raw(data, path, color_type, backend, header)
    return convert_raw(img, header, color_type, scale)


def decode_raw(
    data: bytes, path: str | Path, color_type: str, backend: str, header: ImageHeader | None
) -> tuple[np.ndarray, ImageHeader]:
    """Decode an image as far as each pixel still has the file's own values.

    Args:
        data: See `decode_image`, as for the next three.
        path: Likewise.
        color_type: Likewise.
        backend: Likewise.
        header: What `read_header` gave for `data`.

    Returns:
        What `convert_raw` takes: (h, w) or (h, w, c), colours in BGR order; and the header.

    Raises:
        ImportError, ValueError: See `decode_image`.

    Source: MMCV 1.7 ``mmcv.imfrombytes``.
    """
    if header is None:
        if data.startswith(_JPEG_2000):
            raise ValueError(_undecodable(path, data))
        header = ImageHeader('', 'RGB', 3, 8, 'uint8', (1, 1))
    is_unchanged = color_type == 'unchanged'
    if header.kind in ARRAY_KINDS:
        img = _load_array(data, path, header)
    elif header.bits > 8 or _is_rgba_tiff(header) or (is_unchanged and _has_odd_channels(header)):
        img = _decode_unchanged(data, path, header)
    elif backend == 'cv2' and not data.startswith(_JPEG_2000):
        img = _decode_with_cv2(data, path, COLOR_TYPES[color_type])
    else:
        img = _decode_with_pillow(data, path, color_type)
    if is_unchanged and header.channels == 2 and img.shape[2:] == (4,):
        img = img[:, :, [0, 3]]  # OpenCV gives grey with opacity as colours with opacity
    if _is_raw(header, color_type) and not color_type.endswith('ignore_orientation'):
        img = img if header.kind == 'TIFF' else turn_upright(img, header.orientation)
    return img, header


def convert_raw(
    img: np.ndarray, header: ImageHeader, color_type: str, scale: Scale | None
) -> np.ndarray:
    """Bring what `decode_raw` gave to the colours and values of `decode_image`."""
    if _is_raw(header, color_type):
        img = as_color_type(img, color_type)
        if scale is None and img.dtype == np.uint16:
            img = (img >> 8).astype(np.uint8)
    if img.dtype.name not in _OPENCV_TYPES:
        with np.errstate(over='ignore'):  # what float32 does not hold is infinite, so no data
            img = img.astype(np.uint8 if img.dtype == bool else np.float32)
    return img if scale is None else scale(img)


def _is_raw(header: ImageHeader, color_type: str) -> bool:
    """Whether `decode_raw` gives a file's own channels, which are yet to become colours."""
    is_deep = header.bits > 8 or header.kind in ARRAY_KINDS or _is_rgba_tiff(header)
    return is_deep and color_type != 'unchanged'


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
        who: Whose files: a data set or a model; each kind is logged once for it.
        data: The file's content, to look for its largest value.
    """
    for unused in find_unused(header, color_type, is_scaled):
        subject = subject_of_unused(unused.kind, who, color_type)
        warn_once(partial(_describe_unused, unused, path, header, data), subject)


def subject_of_unused(kind: str, who: str, color_type: str) -> str:
    """Return the subject of a warning about a kind of `Unused`; see `warn_of_unused`."""
    return f'{kind} {who} {color_type}'


def _describe_unused(
    unused: Unused, path: str | Path, header: ImageHeader, data: bytes | None
) -> str:
    text = f'{path}: {unused}'
    if unused.kind == 'bits' and data is not None:
        values = decode_image(data, path, 'unchanged', 'cv2', header=header)
        text = f'{text}. This one has {largest_value(values)}'
    return text


@contextmanager
def opened_by_rasterio(source: bytes | str, what: str) -> Iterator[Any]:
    """Open a TIFF with rasterio: its content, or a name that GDAL takes.

    Args:
        source: The image.
        what: What needs rasterio, for the error.

    Raises:
        ImportError: rasterio is missing.
        OSError: It cannot be opened.
    """
    rasterio = import_extra('rasterio', 'tiff', what)
    with warnings.catch_warnings(), rasterio.Env(GDAL_CACHEMAX=_GDAL_CACHE_MB):
        warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
        if isinstance(source, str):
            with rasterio.open(source, driver='GTiff') as file:
                yield file
        else:
            with rasterio.MemoryFile(source) as memory, memory.open(driver='GTiff') as file:
                yield file


def _decode_with_cv2(data: bytes, path: str | Path, flags: int) -> np.ndarray:
    """Decode with OpenCV.

    libpng writes a line to stderr about every colour profile that it does not like, which OpenCV
    does not use, and about damage: it is given neither.
    """
    content = without_profile(data) if data.startswith(PNG_MAGIC) else data
    try:
        img = cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None
    except cv2.error:
        img = None
    if img is None:
        raise ValueError(_undecodable(path, data))
    return img


def _decode_unchanged(data: bytes, path: str | Path, header: ImageHeader) -> np.ndarray:
    """Decode what OpenCV reads in the file's own type; colours in BGR order."""
    if header.kind == 'JPEG2000':
        img = _decode_with_pillow(data, path, 'unchanged')
        if header.channels == 1:
            return img
    if _is_rgba_tiff(header) and header.bits == 8 and _has_separate_alpha(data):
        # OpenCV multiplies the colours by it
        return _decode_with_pillow(data, path, 'unchanged')
    is_named = header.channels == 1 or (header.mode != '' and header.channels <= 4)
    if header.kind != 'TIFF' or is_named:  # else OpenCV drops or swaps channels
        try:
            img = _decode_with_cv2(data, path, cv2.IMREAD_UNCHANGED)
        except ValueError:
            if header.kind != 'TIFF':
                raise
        else:
            if header.kind != 'TIFF' or header.channels == (1 if img.ndim == 2 else img.shape[2]):
                return img
    return _decode_with_rasterio(data, path, header)


def _is_rgba_tiff(header: ImageHeader) -> bool:
    return header.kind == 'TIFF' and header.mode == 'RGBA'


def _has_odd_channels(header: ImageHeader) -> bool:
    return header.kind == 'TIFF' and header.mode in ('', 'LA')


def _has_separate_alpha(data: bytes) -> bool:
    """Whether the colours of a TIFF are not multiplied by its fourth channel yet."""
    return next(read_tiff_pages(io.BytesIO(data))).extra_samples == (_UNASSOCIATED,)


def _decode_with_rasterio(data: bytes, path: str | Path, header: ImageHeader) -> np.ndarray:
    try:
        with opened_by_rasterio(data, f'{path}: a TIFF of {header.channels} channels') as file:
            bands = file.read()
    except OSError as error:
        raise ValueError(f'{_undecodable(path, data)} ({error})') from None
    if bands.shape[1:] != header.size:
        raise ValueError(f'{_undecodable(path, data)} (shape {bands.shape[1:]})')
    if header.mode in ('RGB', 'RGBA'):
        bands[:3] = bands[2::-1].copy()
    return np.ascontiguousarray(bands.transpose(1, 2, 0))


def _load_array(data: bytes, path: str | Path, header: ImageHeader) -> np.ndarray:
    try:
        img = np.load(io.BytesIO(data), allow_pickle=False)
        if header.array:
            with img as archive:
                img = archive[header.array]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
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


def _undecodable(path: str | Path, data: bytes) -> str:
    return (
        f'{path}: cannot be decoded as an image (its first bytes are {data[:8]!r}); '
        'it is damaged or of another format: copy it again, or save it as PNG or JPEG'
    )
