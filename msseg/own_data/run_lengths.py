"""Run-length encoded masks of COCO, CVAT and Label Studio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from msseg.utils.errors import UserValueError

_OPAQUE = 128  # from this opacity on, a brush covers a pixel
_CHANNELS = 4  # Label Studio encodes RGBA


def decode_runs(counts: Any, num_pixels: int, who: str) -> np.ndarray:
    """Return (num_pixels,) bool from lengths of runs, of pixels outside and inside in turn.

    Args:
        counts: The lengths.
        num_pixels: Of the mask.
        who: The file and the object, for errors.

    Raises:
        ValueError: They are no lengths, or too many or too few.
    """
    is_list = isinstance(counts, (list, tuple))
    if not is_list or not all(type(n) is int and n >= 0 for n in counts):
        raise UserValueError(key='RLE', got=counts, expected='whole numbers from 0', who=who)
    total = sum(counts)
    if total != num_pixels:
        problem = 'short' if total < num_pixels else 'long'
        raise UserValueError(
            f'{who}: the RLE is too {problem}: {total} pixels', expected=f'{num_pixels}'
        )
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts)


def coco_counts(text: str, who: str) -> list[int]:
    """Return the lengths of runs in COCO's compressed form.

    A number is a run of characters from ``0``: five bits each from the lowest, the sixth says that
    more follow, the last one's fifth bit is the sign. From the third on, numbers are differences to
    the one before the last.

    Raises:
        ValueError: Another character, or the last number is cut.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise UserValueError(f'{who}: the RLE has the character {character!r}')
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            if shift > 60:
                raise UserValueError(f'{who}: the RLE has a number of more than 60 bits')
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise UserValueError(f'{who}: the RLE is too short: its last number is cut')
    return counts


def decode_brush(content: Sequence[int], size: tuple[int, int], who: str) -> np.ndarray:
    """Return a mask (h, w) bool from Label Studio's brush: RGBA, of which the opacity counts.

    Source: the packed format of thi.ng's rle-pack: 32 bits of length, 5 of the size of a value,
    four sizes of lengths of 4 bits; then runs: a bit (one value repeated, or values each), 2 bits
    for which size the length has, the length less one, the value or the values.

    Raises:
        ValueError: No bytes, too few, or of an image of another size.
    """
    try:
        bits = np.unpackbits(np.frombuffer(bytes(content), np.uint8))
    except (TypeError, ValueError):
        raise UserValueError(key='rle', got=content, expected='bytes', who=who) from None
    reader = _Bits(bits, who)
    length, wanted = reader.number(32), size[0] * size[1] * _CHANNELS
    if length != wanted:
        problem = 'short' if length < wanted else 'long'
        raise UserValueError(
            f'{who}: the RLE is too {problem}: {length} values',
            expected=f'{wanted} for {size[0]}x{size[1]} pixels',
        )
    value_bits = reader.number(5) + 1
    length_bits = [reader.number(4) + 1 for _ in range(4)]
    values, start = np.zeros(length, np.int64), 0
    while start < length:
        is_run = reader.number(1)
        count = reader.number(length_bits[reader.number(2)]) + 1
        if start + count > length:
            raise UserValueError(f'{who}: the RLE is too long: a run ends behind the last pixel')
        values[start : start + count] = reader.numbers(1 if is_run else count, value_bits)
        start += count
    return values.reshape(*size, _CHANNELS)[..., -1] >= _OPAQUE


class _Bits:
    """A stream of bits, the highest first."""

    def __init__(self, bits: np.ndarray, who: str) -> None:
        self._bits, self._at, self._who = bits, 0, who

    def number(self, num_bits: int) -> int:
        """Return the next number."""
        return int(self.numbers(1, num_bits)[0])

    def numbers(self, count: int, num_bits: int) -> np.ndarray:
        """Return the next numbers; ValueError if there are fewer."""
        end = self._at + count * num_bits
        if end > len(self._bits):
            raise UserValueError(f'{self._who}: the RLE is too short: it ends within a run')
        taken = self._bits[self._at : end].reshape(count, num_bits).astype(np.int64)
        self._at = end
        return taken @ (1 << np.arange(num_bits - 1, -1, -1, dtype=np.int64))
