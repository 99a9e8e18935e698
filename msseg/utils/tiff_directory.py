"""The directories of a TIFF file: what it says of each of its pictures."""

from __future__ import annotations

import struct
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

TIFF_MAGIC = {b'II*\0': ('<', False), b'MM\0*': ('>', False)}
TIFF_MAGIC |= {b'II+\0': ('<', True), b'MM\0+': ('>', True)}
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_BYTES |= {16: 8, 17: 8, 18: 8}  # BigTIFF's
_INTEGERS = {1: 'B', 3: 'H', 4: 'I', 16: 'Q'}
_MOST_DIRECTORIES = 100_000
AGAIN = 'copy it again, or save it as PNG'


@dataclass(frozen=True)
class TiffEntry:
    """A tag's value: its type's number, how many there are, and their bytes."""

    kind: int
    count: int
    raw: bytes


@dataclass(frozen=True)
class TiffDirectory:
    """One picture's tags.

    Attributes:
        path: The file, for errors.
        order: ``<`` or ``>``, the byte order as `struct` has it.
        tags: By their numbers.
    """

    path: str | Path
    order: str
    tags: dict[int, TiffEntry]

    def number(self, tag: int, default: int | None = None) -> int:
        """Return a tag's first number.

        Raises:
            ValueError: There is no such tag, and no default.
        """
        if tag not in self.tags and default is not None:
            return default
        return self.numbers(tag)[0]

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return a tag's numbers.

        Raises:
            ValueError: There is no such tag, or it holds no whole numbers.
        """
        entry = self.tags.get(tag)
        if entry is None or entry.kind not in _INTEGERS or not entry.count:
            raise ValueError(f'{self.path}: the TIFF does not say its tag {tag}; {AGAIN}')
        return struct.unpack(f'{self.order}{entry.count}{_INTEGERS[entry.kind]}', entry.raw)


def read_directories(
    file: BinaryIO, path: str | Path, wanted: Container[int] | None = None
) -> Iterator[TiffDirectory]:
    """Yield the directories of a TIFF file, one after another.

    Args:
        file: The file; only read as far as it is iterated.
        path: Its name, for errors.
        wanted: The tags to read; all by default.

    Raises:
        ValueError: It is truncated or damaged there.
    """
    seen: set[int] = set()
    try:
        file.seek(0)
        order, is_big = TIFF_MAGIC[file.read(4)]
        pointer = order + ('Q' if is_big else 'I')
        file.seek(8 if is_big else 4)
        (start,) = _unpack(file, pointer)
        while start and start not in seen and len(seen) < _MOST_DIRECTORIES:
            seen.add(start)
            file.seek(start)
            (count,) = _unpack(file, order + ('Q' if is_big else 'H'))
            size = 20 if is_big else 12
            block = file.read(size * count)
            (start,) = _unpack(file, pointer)
            yield TiffDirectory(path, order, dict(_entries(file, block, pointer, size, wanted)))
        if not seen:
            raise KeyError
    except (KeyError, struct.error, OverflowError, MemoryError):
        raise ValueError(f'{path}: the TIFF is truncated or damaged; {AGAIN}') from None


def _unpack(file: BinaryIO, form: str) -> tuple[int, ...]:
    return struct.unpack(form, file.read(struct.calcsize(form)))


def _entries(
    file: BinaryIO, block: bytes, pointer: str, size: int, wanted: Container[int] | None
) -> Iterator[tuple[int, TiffEntry]]:
    width = struct.calcsize(pointer)
    for start in range(0, len(block), size):
        tag, kind, count = struct.unpack_from(f'{pointer[0]}HH{pointer[1]}', block, start)
        if wanted is not None and tag not in wanted:
            continue
        raw = block[start + size - width : start + size]
        needed = _BYTES.get(kind, 1) * count
        if needed > width:
            file.seek(struct.unpack(pointer, raw)[0])
            raw = file.read(needed)
            if len(raw) < needed:
                raise struct.error
        yield tag, TiffEntry(kind, count, raw[:needed])
