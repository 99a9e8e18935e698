"""What an image file says of itself before its pixels are decoded."""

from __future__ import annotations

import io
import struct
import warnings
from typing import NamedTuple

from PIL import Image

# What Pillow raises for content that it cannot take.
PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
)

_EXIF_ORIENTATION = 274
_PNG_BITS_BYTE = 24
_BITS = {'1': 1, 'I': 32, 'F': 32}


class Header(NamedTuple):
    """A file's own description.

    Attributes:
        form: Kind of file, mode and bits a channel, such as ``PNG L, 8 bits``.
        mode: Pillow's mode.
        kind: Pillow's name of the file format.
        bits: Bits a channel.
        size: (h, w) as stored.
        orientation: EXIF's number from 1 (as stored) to 8.
        palette: RGB colours of a palette file, else empty.
    """

    form: str
    mode: str
    kind: str
    bits: int
    size: tuple[int, int]
    orientation: int
    palette: tuple[tuple[int, int, int], ...]


def read_header(data: bytes) -> Header | None:
    """Read the header of a file's content, None where Pillow does not know the format."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # large pictures, odd EXIF: the pixels decide
        try:
            img = Image.open(io.BytesIO(data))
            orientation = _orientation(img)
        except PILLOW_ERRORS:
            return None
    bits = _bits(img.mode)
    if img.format == 'PNG':  # Pillow calls a picture of 16 bits a channel RGB
        bits = data[_PNG_BITS_BYTE]
    plural = 'bit' if bits == 1 else 'bits'
    return Header(
        form=f'{img.format} {img.mode}, {bits} {plural}',
        mode=img.mode,
        kind=img.format or '',
        bits=bits,
        size=(img.height, img.width),
        orientation=orientation,
        palette=_palette(img),
    )


def find_damage(data: bytes, kind: str) -> str | None:
    """Return what is wrong with the inside of a file, None when nothing shows.

    Decoders pass over wrong checksums of PNG files, and fill what a cut BMP or TIFF lacks.

    Args:
        data: The content.
        kind: Pillow's name of the format.
    """
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            img = Image.open(io.BytesIO(data))
            if kind == 'PNG':
                img.verify()
            elif kind != 'JPEG':  # whether a JPEG is whole, its end has said
                img.load()
        except Image.DecompressionBombError:
            return None  # too large for Pillow, which is no damage
        except PILLOW_ERRORS as error:
            return str(error) or type(error).__name__
    return None


def _orientation(img: Image.Image) -> int:
    if img.format == 'PNG' and 'exif' not in img.info:
        return 1  # Pillow would decode all pixels to look behind them
    orientation = img.getexif().get(_EXIF_ORIENTATION, 1)
    return orientation if orientation in range(1, 9) else 1


def _bits(mode: str) -> int:
    return 16 if mode.startswith('I;16') else _BITS.get(mode, 8)


def _palette(img: Image.Image) -> tuple[tuple[int, int, int], ...]:
    if img.mode != 'P':
        return ()
    flat = (img.getpalette('RGB') or [])[: 3 * 256]
    return tuple(zip(flat[0::3], flat[1::3], flat[2::3], strict=True))
