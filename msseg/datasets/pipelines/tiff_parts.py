"""Reading some rows of a TIFF without decoding the others.

A TIFF is made of tiles or strips that are compressed one by one. Each is handed to the ordinary
decoder as a small TIFF of its own, so pixels come out as from the whole file, whatever the
compression.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from msseg.utils.image_header import is_page
from msseg.utils.tiff_directory import AGAIN, TIFF_MAGIC, TiffEntry, read_directories

Decode = Callable[[bytes, Path], np.ndarray]

# Numbers of the TIFF 6.0 specification.
_WIDTH, _LENGTH, _COMPRESSION, _ORIENTATION, _SAMPLES, _PLANAR = 256, 257, 259, 274, 277, 284
_STRIP_OFFSETS, _ROWS_PER_STRIP, _STRIP_COUNTS = 273, 278, 279
_TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS, _TILE_COUNTS = 322, 323, 324, 325
# What the decoder must know of the pixels: bits, compression, colours, predictor, JPEG's tables.
_KEPT = {258, 259, 262, 266, 277, 284, 292, 293, 317, 320, 338, 339, 347, 529, 530, 531, 532}
_LONG = 4
_OLD_JPEG = 6  # its pieces cannot be decoded one by one
# Where one piece is larger than this, reading it is reading the file.
_MOST_PIECE_PIXELS = 1 << 24


class TiffParts:
    """Some rows of a page of a TIFF file.

    Args:
        path: The file.
        decode: What decodes a file's content, given its path for errors, such as
            ``LoadImageFromFile.decode``.
        page: Number of the page, from 0.

    Attributes:
        height: Of the picture.
        width: Of the picture.

    Raises:
        ValueError: The file is damaged, or `opens` would say that it is none for this class.
        OSError: It cannot be read.
    """

    def __init__(self, path: str | Path, decode: Decode, page: int = 0) -> None:
        self.path = Path(path)
        self._decode_content = decode
        with self.path.open('rb') as file:
            pages = filter(is_page, read_directories(file, self.path))
            directory = next(islice(pages, page, None), None)
        if directory is None:
            raise ValueError(f'{self.path}: the TIFF has no page {page}; {AGAIN}')
        self._directory = directory
        self.height, self.width = self._directory.number(_LENGTH), self._directory.number(_WIDTH)
        self.is_tiled = _TILE_OFFSETS in self._directory.tags
        if self.is_tiled:
            self._piece = self._directory.number(_TILE_LENGTH), self._directory.number(_TILE_WIDTH)
        else:
            rows = self._directory.number(_ROWS_PER_STRIP, self.height)
            self._piece = min(rows, self.height), self.width
        self._offsets = self._directory.numbers(_TILE_OFFSETS if self.is_tiled else _STRIP_OFFSETS)
        self._counts = self._directory.numbers(_TILE_COUNTS if self.is_tiled else _STRIP_COUNTS)
        is_planar = self._directory.number(_PLANAR, 1) == 2
        self._planes = self._directory.number(_SAMPLES, 1) if is_planar else 1
        self._check()

    @property
    def has_small_pieces(self) -> bool:
        """Whether reading some rows takes less than reading the page."""
        return self._piece[0] * self._piece[1] <= _MOST_PIECE_PIXELS

    @property
    def decodes(self) -> bool:
        """Whether its pieces can be decoded one by one."""
        is_upright = self._directory.number(_ORIENTATION, 1) == 1
        return is_upright and self._directory.number(_COMPRESSION, 1) != _OLD_JPEG

    def rows(self, top: int, bottom: int) -> np.ndarray:
        """Read rows.

        Args:
            top: The first.
            bottom: The one after the last.

        Returns:
            (bottom - top, width, …), as decoding gives the whole.

        Raises:
            ValueError: The file is truncated or damaged there.
        """
        piece_h, piece_w = self._piece
        across = -(-self.width // piece_w)
        result: np.ndarray | None = None
        with self.path.open('rb') as file:
            for row in range(top // piece_h, -(-bottom // piece_h)):
                for column in range(across):
                    piece = self._decode(file, row, column, across)
                    if result is None:
                        shape = (bottom - top, self.width, *piece.shape[2:])
                        result = np.zeros(shape, piece.dtype)
                    first, left = max(row * piece_h, top), column * piece_w
                    cut = piece[first - row * piece_h : bottom - row * piece_h]
                    target = result[first - top : first - top + len(cut), left : left + piece_w]
                    target[:] = cut[: len(target), : target.shape[1]]
        assert result is not None
        return result

    def _decode(self, file: BinaryIO, row: int, column: int, across: int) -> np.ndarray:
        piece_h, piece_w = self._piece
        height = piece_h if self.is_tiled else min(piece_h, self.height - row * piece_h)
        number = row * across + column
        per_plane = across * -(-self.height // piece_h)
        chunks = [self._chunk(file, number + p * per_plane) for p in range(self._planes)]
        tags = {tag: entry for tag, entry in self._directory.tags.items() if tag in _KEPT}
        data = _small_tiff(self._directory.order, tags, (height, piece_w), chunks)
        decoded = self._decode_content(data, self.path)
        if decoded.shape[:2] != (height, piece_w):
            raise ValueError(f'{self.path}: a piece of it is of size {decoded.shape[:2]}; {AGAIN}')
        return decoded

    def _chunk(self, file: BinaryIO, number: int) -> bytes:
        file.seek(self._offsets[number])
        data = file.read(self._counts[number])
        if len(data) < self._counts[number] or not data:
            raise ValueError(
                f'{self.path}: the image is truncated: its part {number + 1} of '
                f'{len(self._offsets)} is not there; {AGAIN}'
            )
        return data

    def _check(self) -> None:
        h, w = self._piece
        sizes = (self.height, self.width, h, w)
        expected = -(-self.height // h) * -(-self.width // w) * self._planes if all(sizes) else 0
        if not expected or len(self._offsets) != expected or len(self._counts) != expected:
            raise ValueError(
                f'{self.path}: the TIFF says {len(self._offsets)} pieces of {h}x{w} for '
                f'{self.height}x{self.width} pixels; it is damaged, {AGAIN}'
            )


def _small_tiff(
    order: str, tags: dict[int, TiffEntry], size: tuple[int, int], chunks: list[bytes]
) -> bytes:
    """Return a TIFF of one strip (one for each plane) with the pixels' tags of another."""
    head = 8
    starts = [head]
    for chunk in chunks[:-1]:
        starts.append(starts[-1] + len(chunk) + len(chunk) % 2)
    body = b''.join(chunk + b'\0' * (len(chunk) % 2) for chunk in chunks)
    lengths = [len(chunk) for chunk in chunks]
    entries = dict(tags)
    for tag, values in (
        (_LENGTH, [size[0]]),
        (_WIDTH, [size[1]]),
        (_ROWS_PER_STRIP, [size[0]]),
        (_STRIP_OFFSETS, starts),
        (_STRIP_COUNTS, lengths),
    ):
        raw = struct.pack(f'{order}{len(values)}I', *values)
        entries[tag] = TiffEntry(_LONG, len(values), raw)
    start = head + len(body)
    after = start + 2 + 12 * len(entries) + 4
    directory, extra = struct.pack(f'{order}H', len(entries)), b''
    for tag in sorted(entries):
        entry = entries[tag]
        raw = entry.raw.ljust(4, b'\0')
        if len(raw) > 4:
            raw, extra = (
                struct.pack(f'{order}I', after + len(extra)),
                extra + entry.raw + b'\0' * (len(entry.raw) % 2),
            )
        directory += struct.pack(f'{order}HHI', tag, entry.kind, entry.count) + raw
    magic = next(m for m, (o, is_big) in TIFF_MAGIC.items() if o == order and not is_big)
    return magic + struct.pack(f'{order}I', start) + body + directory + b'\0' * 4 + extra
