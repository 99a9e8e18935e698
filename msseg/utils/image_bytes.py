"""Read the bytes of image files, and walk through those of PNG and JPEG."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from msseg.utils.regular_file import check_regular

PNG_MAGIC, _PNG_END = b'\x89PNG', b'IEND\xaeB`\x82'
_JPEG_MAGIC, _JPEG_END = b'\xff\xd8', b'\xff\xd9'
_PNG_SIGNATURE_BYTES, _PNG_CHUNK_BYTES = 8, 12  # length, name and checksum of a chunk
# A marker, where stuffed and restart bytes of the coded data are none.
_JPEG_MARKER = re.compile(rb'\xff[^\x00\xff\xd0-\xd7]')


def read_bytes(path: str | Path) -> bytes:
    """Return the content of a file.

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
    check_whole(data, path)
    return data


def check_whole(data: bytes, path: str | Path) -> None:
    """Raise ValueError for an empty file, and for a PNG or JPEG file without its end."""
    if not data:
        raise ValueError(f'{path}: the file is empty; copy or download it again')
    if not is_whole(data):
        raise ValueError(
            f'{path}: the image is truncated: {len(data)} bytes without the end of the picture; '
            'copy or download it again'
        )


def is_whole(data: bytes) -> bool:
    """Whether a file has its end: False for a PNG or JPEG file without it.

    Decoders fill what is missing with grey and go on, so a cut file must be found here. What
    follows the end of the picture, such as a telephone's film, does not matter.
    """
    if data.startswith(PNG_MAGIC):
        return data.endswith(_PNG_END) or any(name == b'IEND' for name, _ in _png_chunks(data))
    if data.startswith(_JPEG_MAGIC):
        return data.endswith(_JPEG_END) or _has_jpeg_end(data)
    return True


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield name and bytes of a PNG's chunks that are whole, to the last one."""
    start, name = _PNG_SIGNATURE_BYTES, b''
    while name != b'IEND' and start + _PNG_CHUNK_BYTES <= len(data):
        end = start + _PNG_CHUNK_BYTES + int.from_bytes(data[start : start + 4], 'big')
        if end > len(data):
            return
        name = data[start + 4 : start + 8]
        yield name, memoryview(data)[start:end]
        start = end


def without_profile(data: bytes) -> bytes:
    """Return a PNG without its colour profile; nothing of one with a damaged chunk."""
    kept = [data[:_PNG_SIGNATURE_BYTES]]
    for name, chunk in _png_chunks(data):
        if zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], 'big'):
            if name != b'iCCP':
                kept.append(chunk)
        elif name[:1].isupper():  # a chunk that no decoder may do without
            return b''
    return b''.join(kept)


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
