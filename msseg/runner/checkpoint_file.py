"""The bytes of a checkpoint: MindSpore's file format, with a checksum over all of it.

``mindspore.save_checkpoint`` writes the same format, but strings last. Here the description comes
first and the checksum last (as MindSpore's ``crc_check=True`` writes and reads it): a file with
that beginning and another end is damaged.

A file may come from a stranger, and anyone can compute a checksum. So numpy makes the arrays, one
entry at a time, after their sizes have been compared with the bytes in the file:
``mindspore.load_checkpoint`` (2.7.2 to 2.10.0) copies the content into as much memory as the
dimensions claim, and corrupts the heap when they claim less.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from mindspore import Tensor
from mindspore.train.checkpoint_pb2 import Checkpoint as Message

from msseg.utils.atomic import atomic_path
from msseg.utils.resources import check_room, describe_room

META = 'meta'
_MARK = b'crc_num'
_TRAILER = len(_MARK) + 10
_BLOCK = 2**24
# the first entry: field 1 of the file, of some length; its own field 1 is the name
_MESSAGE, _TAG = b'\x0a', b'\x0a\x04' + META.encode()
_HEAD = 32
_MAX_ENTRIES = 2**18
_MAX_ENTRY_BYTES = 2**31  # what protobuf allows
_MAX_META_BYTES = 2**26
_MAX_AXES = 16
_MAX_NUMBERS = 2**40
_MAX_SHOWN = 80
# MindSpore's name of a type -> how numpy reads it. bfloat16 is the upper half of a float32.
_TYPES = {
    'Bool': '<u1', 'BFloat16': '<u2', 'Float16': '<f2', 'Float32': '<f4', 'Float64': '<f8',
    'Int8': '<i1', 'Int16': '<i2', 'Int32': '<i4', 'Int64': '<i8',
    'UInt8': '<u1', 'UInt16': '<u2', 'UInt32': '<u4', 'UInt64': '<u8',
}  # fmt: skip
_META_KINDS = {
    **dict.fromkeys(('iter', 'epoch', 'iters_per_epoch', 'seed', 'world_size'), int),
    **dict.fromkeys(('best_scores', 'hooks', 'data'), dict),
    **dict.fromkeys(('CLASSES', 'PALETTE'), list),
    'config': str,
}


class DamagedCheckpointError(ValueError):
    """A checkpoint file does not hold what was written to it.

    Args:
        path: The file.
        reason: What is wrong with it.
    """

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f'checkpoint {str(path)!r} cannot be read: it is damaged, {reason}')
        self.path, self.reason = Path(path), reason


def write_checkpoint(path: str | Path, meta: str, tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Write a checkpoint atomically: under its final name it is complete or absent.

    Args:
        path: The file, ending in ``.ckpt``; its folder must exist.
        meta: The description, at least one character.
        tensors: Names and tensors.

    Raises:
        OSError: It cannot be written; the message includes the needed and the free space.
    """
    path, tensors = Path(path), list(tensors)
    needed = sum(tensor.nbytes for _, tensor in tensors) + 4 * len(meta)
    try:
        check_room(path.parent, needed)
        with atomic_path(path) as temporary, temporary.open('wb') as file:
            _write(file, meta, tensors)
            file.flush()
    except OSError as error:
        reason = f'{error.strerror or error} ({describe_room(path.parent, needed)})'
        raise OSError(error.errno, reason, str(path)) from error


def _write(file: BinaryIO, meta: str, tensors: list[tuple[str, Tensor]]) -> None:
    checksum = _append(file, 0, META, [0], 'str', np.array(meta))
    for name, tensor in tensors:
        checksum = _append(
            file, checksum, name, list(tensor.shape), str(tensor.dtype), tensor.asnumpy()
        )
    file.write(_MARK + checksum.to_bytes(10, byteorder='big'))


def _append(
    file: BinaryIO, checksum: int, name: str, shape: list[int], kind: str, array: np.ndarray
) -> int:
    message = Message()
    value = message.value.add()
    value.tag = name
    value.tensor.dims.extend(shape)
    value.tensor.tensor_type = kind
    value.tensor.tensor_content = array.tobytes()
    content = message.SerializeToString()
    file.write(content)
    return zlib.crc32(content, checksum)


def has_valid_checksum(path: str | Path) -> bool:
    """Whether a file has a checksum; DamagedCheckpointError when it does not fit, or was lost."""
    path = Path(path)
    size = path.stat().st_size
    with _open(path) as file:
        head = file.read(_HEAD)
        file.seek(max(0, size - _TRAILER))
        trailer = file.read(_TRAILER)
        if not trailer.startswith(_MARK):
            if head[_first_entry(head)[0] :].startswith(_TAG):
                raise DamagedCheckpointError(path, 'it does not end in its checksum')
            return False
        file.seek(0)
        if _checksum(file, size - _TRAILER) != int.from_bytes(trailer[len(_MARK) :], 'big'):
            raise DamagedCheckpointError(path, 'its checksum does not fit')
    return True


class Content(NamedTuple):
    """The description in a file, and its tensors by name; bfloat16 as float32."""

    meta: dict[str, Any]
    tensors: dict[str, np.ndarray]


def read_content(path: str | Path) -> Content:
    """Read a file's entries without trusting any of them.

    Entries that are neither tensors nor the description (texts, MindSpore's maps) are ignored;
    one that neither MindSpore nor `write_checkpoint` writes is a DamagedCheckpointError.
    """
    path = Path(path)
    meta: dict[str, Any] = {}
    tensors: dict[str, np.ndarray] = {}
    # MindSpore writes a large tensor as several entries, one after the other
    for name, entries in groupby(_entries(path), key=lambda entry: entry.tag):
        parts = [entry.tensor for entry in entries if entry.HasField('tensor')]
        if name in tensors:
            raise DamagedCheckpointError(
                path, f'it has two tensors of the name {name[:_MAX_SHOWN]!r}'
            )
        if parts and parts[0].tensor_type != 'str':
            tensors[name] = _array(parts, path, name)
        elif parts and name == META:
            try:
                meta = _parse_meta(b''.join(part.tensor_content for part in parts))
            except ValueError as error:
                raise DamagedCheckpointError(path, str(error)) from error
    return Content(meta, tensors)


def read_meta(path: str | Path) -> dict[str, Any]:
    """Return the description at the beginning of a file, {} when none can be read."""
    path = Path(path)
    if path.exists() and not path.is_file():
        return {}
    with path.open('rb') as file:
        head = file.read(_HEAD)
        start, size = _first_entry(head)
        if not head[start:].startswith(_TAG) or size > _MAX_META_BYTES:
            return {}
        file.seek(start)
        body = file.read(min(size, path.stat().st_size))
    try:
        return _parse_meta(Message.Value.FromString(body).tensor.tensor_content)
    except (DecodeError, ValueError):
        return {}


def _open(path: Path) -> BinaryIO:
    if path.exists() and not path.is_file():
        raise DamagedCheckpointError(path, 'it is no file')  # a pipe, say, which may never end
    return path.open('rb')


def _entries(path: Path) -> Iterator[Message.Value]:
    """Yield a file's entries, each complete."""
    count = 0
    with _open(path) as file:
        size = path.stat().st_size
        file.seek(max(0, size - _TRAILER))
        if file.read(_TRAILER).startswith(_MARK):
            size -= _TRAILER
        position = 0
        while position < size:
            file.seek(position)
            head = file.read(min(_HEAD, size - position))
            start, length = _first_entry(head)
            position += start + length
            count += 1
            is_entry = head.startswith(_MESSAGE) and 0 < length <= _MAX_ENTRY_BYTES
            if not is_entry or position > size or count > _MAX_ENTRIES:
                raise DamagedCheckpointError(
                    path, f'entry {count} is none, or it is no MindSpore checkpoint'
                )
            file.seek(position - length)
            yield _entry(file.read(length), path, count)
    if count == 0:
        raise DamagedCheckpointError(path, 'it is empty')


def _entry(body: bytes, path: Path, number: int) -> Message.Value:
    try:
        entry = Message.Value.FromString(body)
    except (DecodeError, ValueError, TypeError, IndexError, struct.error) as error:
        raise DamagedCheckpointError(path, f'entry {number} cannot be decoded') from error
    if not (entry.IsInitialized() and entry.tag):
        raise DamagedCheckpointError(path, f'entry {number} is not complete')
    return entry


def _array(parts: list[Any], path: Path, name: str) -> np.ndarray:
    """Return the numbers of a tensor, read only."""
    kind, dims = parts[0].tensor_type, list(parts[0].dims)
    size = sum(len(part.tensor_content) for part in parts)
    tensor = f'tensor {name[:_MAX_SHOWN]!r}'
    if kind not in _TYPES:
        raise DamagedCheckpointError(
            path, f'{tensor} is of the type {kind[:_MAX_SHOWN]!r}, which is unknown'
        )
    if any(part.tensor_type != kind or list(part.dims) != dims for part in parts):
        raise DamagedCheckpointError(path, f'the parts of {tensor} do not belong together')
    dtype = np.dtype(_TYPES[kind])
    if dims == [0] and size:
        dims = []  # MindSpore's way to write a scalar
    is_shape = len(dims) <= _MAX_AXES and all(0 <= dim < 2**31 for dim in dims)
    # numpy refuses shapes whose sides, but those of 0, multiply to more than it can count
    is_shape = is_shape and math.prod(filter(None, dims)) < _MAX_NUMBERS
    if not is_shape or math.prod(dims) * dtype.itemsize != size:
        raise DamagedCheckpointError(
            path, f'{tensor} has {size} bytes of {kind} for the shape {dims[:_MAX_AXES]}'
        )
    contents = [part.tensor_content for part in parts]
    array = np.frombuffer(contents[0] if len(contents) == 1 else b''.join(contents), dtype)
    if kind == 'BFloat16':
        array = (array.astype(np.uint32) << 16).view(np.float32)
    elif kind == 'Bool':
        array = array != 0
    return array.reshape(dims)


def _parse_meta(content: bytes) -> dict[str, Any]:
    """Return the description; ValueError when a known key has another type."""
    try:
        meta = json.loads(content.decode('utf-32-le'))
    except (ValueError, RecursionError) as error:
        raise ValueError('its description is no JSON') from error
    if not isinstance(meta, dict):
        raise ValueError(f'its description is a {type(meta).__name__}, not a dict')
    for key, kind in _META_KINDS.items():
        if meta.get(key) is None:  # as if it were not there
            meta.pop(key, None)
            continue
        value = meta[key]
        fits = isinstance(value, kind) and not isinstance(value, bool)
        if fits and kind is int:
            fits = 0 <= value < 2**63
        if not fits:
            shown = repr(value)[:_MAX_SHOWN]
            raise ValueError(f'its description says {key}={shown}, expected {kind.__name__}')
    if not all(isinstance(name, str) for name in meta.get('CLASSES') or ()):
        raise ValueError('its description has CLASSES that are no names')
    scores = (meta.get('best_scores') or {}).values()
    if not all(isinstance(score, list) and len(score) == 2 for score in scores):
        raise ValueError('its description has best_scores that are no pairs')
    return meta


def _first_entry(head: bytes) -> tuple[int, int]:
    """Return offset and size of the first entry, given the beginning of a file."""
    size = 0
    for position, byte in enumerate(head[len(_MESSAGE) :]):
        size |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return len(_MESSAGE) + position + 1, size
    return len(head), 0


def _checksum(file: BinaryIO, size: int) -> int:
    checksum = 0
    while size > 0 and (block := file.read(min(size, _BLOCK))):
        checksum = zlib.crc32(block, checksum)
        size -= len(block)
    return checksum
