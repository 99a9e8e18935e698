"""Tensors in files: a storage of numbers and a strided view of it."""

from __future__ import annotations

import math
import mmap
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Kind of number in the file -> how numpy reads it. bfloat16 is the upper half of a float32.
DTYPES = {
    'float16': '<f2', 'bfloat16': '<u2', 'float32': '<f4', 'float64': '<f8', 'int8': '<i1',
    'int16': '<i2', 'int32': '<i4', 'int64': '<i8', 'uint8': '<u1', 'bool': '<u1',
}  # fmt: skip
_MAX_DIMENSIONS = 32


@dataclass
class Storage:
    """A run of numbers in a file.

    Attributes:
        key: Its name in the file.
        dtype: A key of ``DTYPES``.
        size: How many numbers.
        data: Their bytes; None until they are found.
        big_endian: Whether the first byte of a number is its highest.
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
        offset: Position of the first one.
        shape: The tensor's shape.
        stride: Distance in numbers between neighbours, per dimension.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def check(self) -> None:
        """Raise ValueError unless the view lies within its storage."""
        who = f'a tensor of storage {self.storage.key!r}'
        numbers = (self.offset, *self.shape, *self.stride)
        if any(type(number) is not int or number < 0 for number in numbers):
            raise ValueError(f'{who} has no valid shape')
        if len(self.shape) != len(self.stride) or len(self.shape) > _MAX_DIMENSIONS:
            raise ValueError(
                f'{who} has {len(self.shape)} dimensions and {len(self.stride)} strides, expected '
                f'as many, at most {_MAX_DIMENSIONS}'
            )
        steps = zip(self.shape, self.stride, strict=True)
        last = self.offset + sum((length - 1) * step for length, step in steps)
        if self.size and last >= self.storage.size:
            raise ValueError(
                f'a tensor reaches number {_short(last)} of storage {self.storage.key!r}, which '
                f'has {_short(self.storage.size)}'
            )

    @property
    def size(self) -> int:
        """How many numbers the tensor shows."""
        return math.prod(self.shape)

    def to_array(self) -> np.ndarray:
        """Return the numbers; a read-only view of the file where possible.

        bfloat16 becomes float32, which holds it exactly.
        """
        self.check()
        storage = self.storage
        native = np.dtype('float32' if storage.dtype == 'bfloat16' else storage.dtype)
        if self.size == 0:
            return np.zeros(self.shape, native)
        if storage.data is None or len(storage.data) < storage.nbytes:
            raise ValueError(f'the numbers of storage {storage.key!r} are not in the file')
        dtype = np.dtype(DTYPES[storage.dtype])
        dtype = dtype.newbyteorder('>') if storage.big_endian else dtype
        flat = np.frombuffer(storage.data, dtype, storage.size)
        # A step along a dimension of length 1 is never taken and may be any number.
        strides = [
            step * dtype.itemsize if length > 1 else 0
            for length, step in zip(self.shape, self.stride, strict=True)
        ]
        view = np.lib.stride_tricks.as_strided(
            flat[self.offset :], self.shape, strides, writeable=False
        )
        if storage.dtype == 'bfloat16':
            return (view.astype(np.uint32) << 16).view(np.float32)
        return view != 0 if storage.dtype == 'bool' else view.astype(native, copy=False)


def map_file(path: Path) -> mmap.mmap:
    """Return a file's bytes, which are read when they are used."""
    with path.open('rb') as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _short(number: int) -> str:
    return str(number) if number < 10**18 else 'beyond 10^18'
