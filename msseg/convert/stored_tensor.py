"""Tensors as files describe them: a storage of numbers and a strided view of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# Kind of number in the file -> how numpy reads it. bfloat16 is the upper half of a float32.
DTYPES = {
    'float16': '<f2',
    'bfloat16': '<u2',
    'float32': '<f4',
    'float64': '<f8',
    'int8': '<i1',
    'int16': '<i2',
    'int32': '<i4',
    'int64': '<i8',
    'uint8': '<u1',
    'bool': '<u1',
}
_MAX_DIMENSIONS = 32


@dataclass
class Storage:
    """A run of numbers in a file.

    Attributes:
        key: Its name in the file.
        dtype: A key of ``DTYPES``.
        size: How many numbers.
        data: Their bytes, None until they have been found.
        big_endian: Whether the bytes of a number stand in the other order.
    """

    key: str
    dtype: str
    size: int
    data: memoryview | None = None
    big_endian: bool = False

    @property
    def itemsize(self) -> int:
        """Bytes per number."""
        return np.dtype(DTYPES[self.dtype]).itemsize

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        return self.size * self.itemsize


@dataclass(frozen=True)
class StoredTensor:
    """A strided view of a storage; nothing is read before `to_array`.

    Attributes:
        storage: The numbers.
        offset: Where the first one stands.
        shape: The tensor's shape.
        stride: Distance in numbers between neighbours, per dimension.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def check(self) -> None:
        """Raise ValueError unless the view lies within its storage."""
        numbers = (self.offset, *self.shape, *self.stride)
        if any(type(number) is not int or number < 0 for number in numbers):
            raise ValueError(f'a tensor of storage {self.storage.key!r} has no valid shape')
        if len(self.shape) != len(self.stride) or len(self.shape) > _MAX_DIMENSIONS:
            raise ValueError(
                f'a tensor of storage {self.storage.key!r} has {len(self.shape)} dimensions and '
                f'{len(self.stride)} strides, expected as many, at most {_MAX_DIMENSIONS}'
            )
        if self.size == 0:
            return
        steps = zip(self.shape, self.stride, strict=True)
        last = self.offset + sum((length - 1) * step for length, step in steps)
        if last >= self.storage.size:
            raise ValueError(
                f'a tensor reaches number {_short(last)} of storage {self.storage.key!r}, which '
                f'has {_short(self.storage.size)}'
            )

    @property
    def size(self) -> int:
        """How many numbers the tensor shows."""
        return math.prod(self.shape)

    def to_array(self) -> np.ndarray:
        """Return the numbers; a read-only view of the file where it can be, never written to.

        bfloat16 becomes float32, which holds it exactly.
        """
        self.check()
        storage = self.storage
        if self.size == 0:
            return np.zeros(self.shape, _native(storage.dtype))
        if storage.data is None or len(storage.data) < storage.nbytes:
            raise ValueError(f'the numbers of storage {storage.key!r} are not in the file')
        stored = np.dtype(DTYPES[storage.dtype])
        if storage.big_endian:
            stored = stored.newbyteorder('>')
        flat = np.frombuffer(storage.data, stored, storage.size)
        # A step along a dimension of length 1 is never taken and may be any number.
        strides = [
            step * stored.itemsize if length > 1 else 0
            for length, step in zip(self.shape, self.stride, strict=True)
        ]
        view = np.lib.stride_tricks.as_strided(
            flat[self.offset :], self.shape, strides, writeable=False
        )
        return _to_native(view, storage.dtype)


def _to_native(stored: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == 'bfloat16':
        return (stored.astype(np.uint32) << 16).view(np.float32)
    if dtype == 'bool':
        return stored != 0
    return stored.astype(_native(dtype), copy=False)


def _native(dtype: str) -> np.dtype:
    return np.dtype('float32' if dtype == 'bfloat16' else dtype)


def _short(number: int) -> str:
    return str(number) if number < 10**18 else 'beyond 10^18'
