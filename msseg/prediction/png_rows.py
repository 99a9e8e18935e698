"""PNG files written row by row, so that a picture need not be in memory."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from msseg.utils.outputs import PNG_MARK_CHUNK

# Colour types of the PNG specification.
_GREY, _RGB, _PALETTE = 0, 2, 3
_SIGNATURE = b'\x89PNG\r\n\x1a\n'
_BLOCK_BYTES = 1 << 20
_LABEL_LEVEL, _PHOTO_LEVEL = 6, 1  # photographs hardly shrink further, in many times the time


class PngRows:
    """Writes a PNG from top to bottom.

    Args:
        path: The file.
        size: The picture's (h, w).
        palette: RGB colours of a picture of indices, at most 256; a list that is longer gives a
            grey picture of 16 bits. None for a picture in colours.
    """

    def __init__(
        self,
        path: str | Path,
        size: tuple[int, int],
        palette: Sequence[Sequence[int]] | None = None,
    ) -> None:
        self.height, self.width = size
        self._written = 0
        self._above = np.zeros((1, self.width, 3), np.uint8)
        self._type = _RGB if palette is None else _PALETTE if len(palette) <= 256 else _GREY
        self._pack = zlib.compressobj(_PHOTO_LEVEL if palette is None else _LABEL_LEVEL)
        self._palette = palette
        self._path = Path(path)

    def __enter__(self) -> PngRows:
        self._file = self._path.open('wb')
        bits = 16 if self._type == _GREY else 8
        header = struct.pack('>IIBBBBB', self.width, self.height, bits, self._type, 0, 0, 0)
        self._file.write(_SIGNATURE)
        self._chunk(b'IHDR', header)
        self._file.write(PNG_MARK_CHUNK)
        if self._type == _PALETTE:
            self._chunk(b'PLTE', np.asarray(self._palette, np.uint8).tobytes())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._file:
            if kind is None:
                assert self._written == self.height, 'a picture must be written to its end'
                self._chunk(b'IDAT', self._pack.flush())
                self._chunk(b'IEND', b'')

    def write(self, rows: np.ndarray) -> None:
        """Write the next rows.

        Args:
            rows: Indices (n, w), or BGR uint8 (n, w, 3).
        """
        if not len(rows):
            return
        self._written += len(rows)
        if self._type == _RGB:
            rows = rows[..., ::-1]
            # each row as its difference to the one above: photographs pack better so
            filtered = np.diff(rows, axis=0, prepend=self._above).reshape(len(rows), -1)
            self._above = rows[-1:].copy()
            data = np.concatenate([np.full((len(rows), 1), 2, np.uint8), filtered], axis=1)
        elif self._type == _GREY:
            pairs = rows.astype('>u2').view(np.uint8)
            data = np.concatenate([np.zeros((len(rows), 1), np.uint8), pairs], axis=1)
        else:
            data = np.concatenate([np.zeros((len(rows), 1), np.uint8), rows.astype(np.uint8)], 1)
        raw = memoryview(data).cast('B')
        for start in range(0, len(raw), _BLOCK_BYTES):
            packed = self._pack.compress(raw[start : start + _BLOCK_BYTES])
            if packed:
                self._chunk(b'IDAT', packed)

    def _chunk(self, name: bytes, data: bytes) -> None:
        self._file.write(struct.pack('>I', len(data)) + name + data)
        self._file.write(struct.pack('>I', zlib.crc32(data, zlib.crc32(name))))
