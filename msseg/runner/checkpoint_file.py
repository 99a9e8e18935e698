"""The bytes of a checkpoint: MindSpore's file format, with a checksum over all of it.

``mindspore.save_checkpoint`` writes the same format, but the strings last. Here the description
stands first and the checksum last (as MindSpore's ``crc_check=True`` writes and reads it), so a
file that begins with the one and does not end in the other has been cut or spoilt.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from google.protobuf.message import DecodeError
from mindspore import Tensor
from mindspore.train.checkpoint_pb2 import Checkpoint as Message

from msseg.utils.atomic import atomic_path
from msseg.utils.disk import check_room, describe_room

META = 'meta'
_MARK = b'crc_num'
_TRAILER = len(_MARK) + 10
_BLOCK = 2**24
# the first entry: field 1 of the file, of some length; its own field 1 is the name
_MESSAGE, _TAG = b'\x0a', b'\x0a\x04' + META.encode()
_HEAD = 32


class DamagedCheckpointError(ValueError):
    """A checkpoint file that does not hold what was written to it."""


def write_checkpoint(path: str | Path, meta: str, tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Write a checkpoint: under its final name it is whole or absent.

    Args:
        path: The file, ending in ``.ckpt``; its folder must exist.
        meta: The description, at least one character.
        tensors: Names and tensors.

    Raises:
        OSError: It cannot be written; the message says how much room it needs and there is.
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
    """Whether a file carries a checksum, which fits then.

    Raises:
        DamagedCheckpointError: It carries one that does not fit, or has lost it.
    """
    path = Path(path)
    size = path.stat().st_size
    with path.open('rb') as file:
        head = file.read(_HEAD)
        file.seek(max(0, size - _TRAILER))
        trailer = file.read(_TRAILER)
        if not trailer.startswith(_MARK):
            if head[_first_entry(head)[0] :].startswith(_TAG):
                raise damaged(path, 'it does not end in its checksum')
            return False
        file.seek(0)
        if _checksum(file, size - _TRAILER) != int.from_bytes(trailer[len(_MARK) :], 'big'):
            raise damaged(path, 'its checksum does not fit')
    return True


def read_meta(path: str | Path) -> dict:
    """Return the description that a file begins with, {} when there is none that can be read."""
    path = Path(path)
    with path.open('rb') as file:
        head = file.read(_HEAD)
        start, size = _first_entry(head)
        if not head[start:].startswith(_TAG):
            return {}
        file.seek(start)
        body = file.read(min(size, path.stat().st_size))
    try:
        content = Message.Value.FromString(body).tensor.tensor_content
        return json.loads(content.decode('utf-32-le'))
    except (DecodeError, ValueError):
        return {}


def damaged(path: str | Path, reason: str) -> DamagedCheckpointError:
    """Return the error that says so."""
    return DamagedCheckpointError(
        f'checkpoint {str(path)!r} cannot be read: it is damaged, {reason}'
    )


def _first_entry(head: bytes) -> tuple[int, int]:
    """Return where the first entry's bytes begin and how many there are, by a file's beginning."""
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
