"""What PyTorch wrote before 1.6: pickles in a row, then the storages' bytes."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Any

from msseg.convert.stored_tensor import Storage
from msseg.convert.torch_zip import parse_storage_id
from msseg.convert.unpickler import Unpickler

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


def read_torch_stream(path: Path) -> Any:
    """Return what the main pickle builds; its tensors' numbers stay in the file.

    Raises:
        ValueError: The file is damaged, or no PyTorch checkpoint.
    """
    with path.open('rb') as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    storages: dict[str, Storage] = {}

    def find_storage(identity: Any) -> Storage:
        key, dtype, size = parse_storage_id(identity)
        if len(identity) > 5 and identity[5] is not None:
            raise ValueError(f'storage {key!r} is a view of another, as only PyTorch 0.1 wrote it')
        known = storages.setdefault(key, Storage(key, dtype, size))
        if (known.dtype, known.size) != (dtype, size):
            raise ValueError(f'storage {key!r} is described in two ways')
        return known

    if Unpickler(content, _refuse_storage).load() != _MAGIC:
        raise ValueError('it is a pickle, but no PyTorch checkpoint: it has another magic number')
    protocol = Unpickler(content, _refuse_storage).load()
    if protocol != _PROTOCOL:
        raise ValueError(f'it has protocol {protocol!r:.20}, expected {_PROTOCOL}')
    system = Unpickler(content, _refuse_storage).load()
    result = Unpickler(content, find_storage).load()
    keys = Unpickler(content, _refuse_storage).load()
    big_endian = isinstance(system, dict) and system.get('little_endian') is False
    _locate(content, keys, storages, big_endian)
    return result


def _locate(content: mmap.mmap, keys: Any, storages: dict[str, Storage], big_endian: bool) -> None:
    """Find the storages' bytes: for each key the count as eight bytes, then the numbers."""
    if type(keys) is not list or sorted(map(repr, keys)) != sorted(map(repr, storages)):
        raise ValueError('its list of storages is not the one that its pickle speaks of')
    view, position = memoryview(content), content.tell()
    for key in keys:
        storage = storages[key]
        head = view[position : position + 8]
        if len(head) < 8:
            raise ValueError(f'it ends before storage {key!r}')
        (size,) = struct.unpack('<q', head)
        data = view[position + 8 : position + 8 + storage.nbytes]
        if size != storage.size or len(data) != storage.nbytes:
            raise ValueError(
                f'storage {key!r} has {size} numbers and {len(data)} bytes, expected '
                f'{storage.size} numbers of {storage.dtype}'
            )
        storage.data, storage.big_endian = data, big_endian
        position += 8 + storage.nbytes


def _refuse_storage(_: Any) -> Storage:
    raise ValueError('it is a pickle, but no PyTorch checkpoint')
