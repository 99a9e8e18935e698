"""Damage inside a file that decoders pass over."""

from __future__ import annotations

import io

from PIL import UnidentifiedImageError

from msseg.utils.image_header import PILLOW_ERRORS, opened_by_pillow

_BY_PILLOW = ('BMP', 'GIF', 'PNG', 'PPM', 'TIFF', 'WEBP', 'JPEG2000')


def find_damage(data: bytes, kind: str) -> str | None:
    """Return what is wrong with the inside of a file, None when nothing shows.

    Decoders pass over wrong checksums of PNG files, and fill what a cut BMP or TIFF lacks.

    Args:
        data: The content.
        kind: Pillow's name of the format.
    """
    # whether a JPEG is whole, its end has said
    if kind not in _BY_PILLOW:
        return None
    try:
        with opened_by_pillow(io.BytesIO(data)) as img:
            if kind == 'PNG':
                img.verify()
            else:
                img.load()
    except UnidentifiedImageError:
        return None  # which OpenCV may read all the same
    except PILLOW_ERRORS as error:
        return str(error) or type(error).__name__
    return None
