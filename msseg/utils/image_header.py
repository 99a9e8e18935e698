"""Read the headers of image files; no pixels are decoded."""

from __future__ import annotations

import io
import re
import struct
import threading
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from operator import index
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from msseg.utils.regular_file import check_regular

# What Pillow's decoders and numpy's header, which is Python's text, raise for damaged content.
PILLOW_ERRORS = (
    *(ArithmeticError, EOFError, LookupError, MemoryError, OSError, RuntimeError, SyntaxError),
    *(TypeError, ValueError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)

_MODES = {'1': (1, 'uint8'), 'I': (32, 'int32'), 'F': (32, 'float32')}
_CHANNELS = {'LA': 2, 'La': 2, 'PA': 2, 'RGB': 3, 'YCbCr': 3, 'LAB': 3, 'HSV': 3, 'RGBA': 4}
_CHANNELS |= {'RGBX': 4, 'RGBa': 4, 'CMYK': 4}
# Formats whose further pictures are pages or frames; in others they are thumbnails or sizes.
_WITH_FRAMES = ('GIF', 'PNG', 'WEBP', 'AVIF')
_BIG_TIFF = b'II+\0'
_TIFF_MAGIC = (b'II*\0', b'MM\0*', _BIG_TIFF)
# TIFF's tags: bits, colours, samples, kind of picture, of samples; and what a missing tag means.
_SUBFILE, _WIDTH, _LENGTH, _BITS, _PHOTOMETRIC, _SAMPLES = 254, 256, 257, 258, 262, 277
_ORIENTATION, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 274, 338, 339
_NODATA = 42113  # GDAL's, a number as text
_GEO_TAGS = (33922, 34264)  # tie points, and a transformation
_TIFF_TAGS = {
    _SUBFILE: 0,
    _WIDTH: None,
    _LENGTH: None,
    _BITS: 1,
    _PHOTOMETRIC: 1,
    _SAMPLES: 1,
    _ORIENTATION: 1,
    _EXTRA_SAMPLES: (),
    _SAMPLE_FORMAT: 1,
}
_NOT_A_PAGE = 0b101  # a reduced picture, or a mask
_MOST_DIRECTORIES = 100_000
_LOG_PHOTOMETRIC = (32844, 32845)  # floats, stored as 16-bit logarithms
_TIFF_MODES = {(2, 3): 'RGB', (2, 4): 'RGBA', (3, 1): 'P', (5, 4): 'CMYK', (6, 3): 'RGB'}
_TIFF_MODES |= {(8, 3): 'LAB', (0, 2): 'LA', (1, 2): 'LA'}
_GREY_MODES = {'uint8': 'L', 'uint16': 'I;16', 'int32': 'I', 'float32': 'F'}
_ARRAY_MAGIC, _HDR_MAGIC = b'\x93NUMPY', (b'#?RADIANCE', b'#?RGBE')
_ARCHIVE_MAGIC = b'PK\x03\x04'
ARRAY_KINDS = ('NPY', 'NPZ')
_pillow_lock = threading.RLock()


class ArrayChoiceError(ValueError):
    """Which array of a ``.npz`` file is the image is not clear.

    Args:
        found: The headers of its arrays by name; None for what can be no image.
        array: The name that was asked for.
    """

    def __init__(self, found: Mapping[str, ImageHeader | None], array: str | None) -> None:
        shapes = [
            f'{name!r} of shape {(*header.size, header.channels)}'
            for name, header in found.items()
            if header is not None
        ]
        rest = [repr(name) for name, header in found.items() if header is None]
        holds = ', '.join(shapes) or f'{", ".join(rest)}, none of shape (h, w) or (h, w, channels)'
        asked = '' if array is None else f', and no image {array!r}'
        super().__init__(f'holds the arrays {holds}{asked}')


class ImageHeader(NamedTuple):
    """The header of an image file.

    Attributes:
        kind: Name of the format, Pillow's where it has one; ``NPY`` for a numpy array, ``NPZ`` for
            one of an archive.
        mode: Pillow's name of the kind of pixels; empty where it has none.
        channels: Of the file: 4 for RGBA; 1 for indices into a palette.
        bits: Bits a channel.
        dtype: Numpy's name of the type that holds a channel.
        size: (h, w) as stored.
        pages: Number of pages or frames; thumbnails do not count.
        orientation: EXIF's number from 1 (as stored) to 8.
        palette: RGB colours of a palette file, else empty.
        nodata: Of a GeoTIFF, the value of pixels without data, where its tag says one.
        array: Of an archive, the name of the array.
    """

    kind: str
    mode: str
    channels: int
    bits: int
    dtype: str
    size: tuple[int, int]
    pages: int = 1
    orientation: int = 1
    palette: tuple[tuple[int, int, int], ...] = ()
    nodata: float | None = None
    array: str = ''

    @property
    def form(self) -> str:
        """Kind of file, mode and bits a channel, such as ``PNG L, 8 bits``."""
        plural = 'channel' if self.channels == 1 else 'channels'
        mode = f' {self.mode}' if self.mode else f', {self.channels} {plural}'
        number = ' float' if self.dtype.startswith('float') else ''
        pages = f', {self.pages} pages' if self.pages > 1 else ''
        return (
            f'{self.kind}{mode}, {self.bits} {"bit" if self.bits == 1 else "bits"}{number}{pages}'
        )


def read_header(source: bytes | str | Path, array: str | None = None) -> ImageHeader | None:
    """Read the header of an image file.

    Args:
        source: The file's content, or its path.
        array: Of a ``.npz`` file, the name of the array that is the image. None: the only one that
            can be an image.

    Returns:
        None where the format is not known, or the header is damaged.

    Raises:
        FileNotFoundError, ValueError: See `check_regular`.
        ArrayChoiceError: A ``.npz`` file has no such array; or several, and no name is given.
        OSError: It cannot be read.
    """
    if isinstance(source, bytes):
        return _read(io.BytesIO(source), array)
    check_regular(source)
    with Path(source).open('rb') as file:
        return _read(file, array)


@contextmanager
def opened_by_pillow(source: BinaryIO) -> Iterator[Image.Image]:
    """Open an image with Pillow, and decode it in the block, without its limit and its warnings.

    Both belong to the process, so other threads wait.
    """
    with _pillow_lock, warnings.catch_warnings():
        warnings.simplefilter('ignore')
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield Image.open(source)
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _read(file: BinaryIO, array: str | None) -> ImageHeader | None:
    start = file.read(10)
    file.seek(0)
    try:
        if start.startswith(_ARRAY_MAGIC):
            return _array_header(file)
        if start.startswith(_ARCHIVE_MAGIC):
            return _archive_header(file, array)
        if start.startswith(_HDR_MAGIC):
            return _hdr_header(file.read(4096))
        if start[:4] in _TIFF_MAGIC:
            return _tiff_header(file)
        return _pillow_header(file)
    except ArrayChoiceError:
        raise
    except PILLOW_ERRORS:
        return None


def _pillow_header(file: BinaryIO) -> ImageHeader:
    with opened_by_pillow(file) as img:
        kind = img.format or ''
        bits, dtype = _MODES.get(img.mode, (8, 'uint8'))
        if img.mode.startswith('I;16'):
            bits, dtype = 16, 'uint16'
        depth = _stored_bits(file, kind)
        if depth is not None:
            bits, dtype = depth, 'uint16' if depth > 8 else 'uint8'
        return ImageHeader(
            kind=kind,
            mode=img.mode,
            channels=_CHANNELS.get(img.mode, 1),
            bits=bits,
            dtype=dtype,
            size=(img.height, img.width),
            pages=getattr(img, 'n_frames', 1) if kind in _WITH_FRAMES else 1,
            orientation=_orientation(img),
            palette=_palette(img),
        )


def _stored_bits(file: BinaryIO, kind: str) -> int | None:
    """Return the bits per channel of formats for which Pillow always reports 8."""
    file.seek(0)
    start = file.read(4096)
    if kind == 'PNG':
        return start[24]
    if kind == 'PPM':  # whose largest value stands in the header
        header = re.match(rb'P[256]\s+(?:#[^\n]*\n\s*)*\d+\s+(?:#[^\n]*\n\s*)*\d+\s+'
                          rb'(?:#[^\n]*\n\s*)*(\d+)\s', start)  # fmt: skip
        return 16 if header and int(header[1]) > 255 else None
    if kind == 'JPEG2000':
        box = start.find(b'ihdr')
        size = start.find(b'\xff\x51')  # of a bare code stream: its first component's depth
        at = box + 14 if box >= 0 else size + 40
        depth = (start[at] & 127) + 1 if 0 < at < len(start) else 8
        return 16 if depth > 8 else 8
    return None


class TiffPage(NamedTuple):
    """A picture of a TIFF, no smaller copy or mask of one.

    Attributes:
        number: Of its directory in the file, from 1.
        header: As if it were the only page, without the palette.
        photometric: TIFF's number of the kind of colours.
        extra_samples: TIFF's numbers of what channels beyond colours are: 1 and 2 are opacity,
            which colours are multiplied by, or not.
        is_georeferenced: Whether tags say where it lies on the earth.
    """

    number: int
    header: ImageHeader
    photometric: int
    extra_samples: tuple[int, ...]
    is_georeferenced: bool = False


def read_tiff_pages(file: BinaryIO) -> Iterator[TiffPage]:
    """Yield the pages of a TIFF file, which is only read as far as this is iterated.

    Raises:
        PILLOW_ERRORS: It is damaged there.
    """
    file.seek(0)
    magic = file.read(4)
    directory = ImageFileDirectory_v2(magic + file.read(12 if magic == _BIG_TIFF else 4))
    seen: set[int] = set()
    while directory.next and directory.next not in seen and len(seen) < _MOST_DIRECTORIES:
        seen.add(directory.next)
        file.seek(directory.next)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            directory.load(file)
            tags = {tag: directory.get(tag, default) for tag, default in _TIFF_TAGS.items()}
            nodata = directory.get(_NODATA)
            is_georeferenced = any(tag in directory for tag in _GEO_TAGS)
        tags = {tag: tuple(map(index, v if isinstance(v, tuple) else (v,)))
                for tag, v in tags.items()}  # fmt: skip
        if not tags[_SUBFILE][0] & _NOT_A_PAGE:
            page = _tiff_page(len(seen), tags, _number(nodata))
            yield page._replace(is_georeferenced=is_georeferenced)


def _number(text: object) -> float | None:
    try:
        return float(str(text).strip().rstrip('\0'))
    except ValueError:
        return None


def _tiff_page(number: int, tags: dict[int, tuple], nodata: float | None) -> TiffPage:
    channels, photometric, orientation = (
        tags[tag][0] for tag in (_SAMPLES, _PHOTOMETRIC, _ORIENTATION)
    )
    bits = max(tags[_BITS])
    letter = {2: 'int', 3: 'float'}.get(tags[_SAMPLE_FORMAT][0], 'uint')
    if photometric in _LOG_PHOTOMETRIC:
        bits, letter, photometric = 32, 'float', 2
    dtype = f'{letter}{max(8, 1 << (bits - 1).bit_length())}'
    mode = _TIFF_MODES.get((photometric, channels), '')
    if channels == 1 and photometric <= 1:
        mode = '1' if bits == 1 else _GREY_MODES.get(dtype, '')
    size = tags[_LENGTH][0], tags[_WIDTH][0]
    upright = orientation if orientation in range(1, 9) else 1
    header = ImageHeader('TIFF', mode, channels, bits, dtype, size, 1, upright, nodata=nodata)
    return TiffPage(number, header, photometric, tags[_EXTRA_SAMPLES])


def _tiff_header(file: BinaryIO) -> ImageHeader:
    pages = [page.header for page in read_tiff_pages(file)]
    palette = ()
    if pages[0].mode == 'P':
        file.seek(0)
        with opened_by_pillow(file) as img:
            palette = _palette(img)
    return pages[0]._replace(pages=len(pages), palette=palette)


def _array_header(file: BinaryIO) -> ImageHeader:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else (
        np.lib.format.read_array_header_2_0)  # fmt: skip
    shape, _, dtype = read(file)
    if len(shape) not in (2, 3) or dtype.kind not in 'uif':
        raise ValueError
    channels = shape[2] if len(shape) == 3 else 1
    return ImageHeader('NPY', '', channels, dtype.itemsize * 8, dtype.name, shape[:2])


def _archive_header(file: BinaryIO, array: str | None) -> ImageHeader:
    """Return the header of the array of an archive that is the image."""
    found: dict[str, ImageHeader | None] = {}
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.endswith('.npy')]
        for name in names:
            with archive.open(name) as member:
                try:
                    found[name.removesuffix('.npy')] = _array_header(member)
                except PILLOW_ERRORS:
                    found[name.removesuffix('.npy')] = None  # a text, or of other axes
    if not found:
        raise ValueError
    images = [name for name, header in found.items() if header is not None]
    chosen = array if array is not None else images[0] if len(images) == 1 else None
    if chosen not in images:
        raise ArrayChoiceError(found, array)
    return found[chosen]._replace(kind='NPZ', array=chosen)


def _hdr_header(start: bytes) -> ImageHeader | None:
    size = re.search(rb'\n-Y (\d+) \+X (\d+)\n', start)
    if size is None:
        return None
    return ImageHeader('HDR', 'RGB', 3, 32, 'float32', (int(size[1]), int(size[2])))


def _orientation(img: Image.Image) -> int:
    if img.format == 'PNG' and 'exif' not in img.info:
        return 1  # Pillow would decode all pixels to look behind them
    orientation = img.getexif().get(_ORIENTATION, 1)
    return orientation if orientation in range(1, 9) else 1


def _palette(img: Image.Image) -> tuple[tuple[int, int, int], ...]:
    if img.mode != 'P' or img.palette is None:
        return ()
    order, data = img.palette.getdata()  # Image.getpalette would decode all pixels
    if order == 'RGB;L':  # TIFF's: all red values, then all green ones
        planes = [data[i * len(data) // 3 : (i + 1) * len(data) // 3] for i in range(3)]
    elif set('RGB') <= set(order):
        planes = [data[order.index(channel) :: len(order)] for channel in 'RGB']
    else:
        return ()
    return tuple(zip(*planes, strict=False))[:256]
