"""PyTorch's files: zip archives since 1.6, and before them pickles in a row with the numbers."""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from msseg.convert.pickles import StorageKind, Unpickler
from msseg.convert.tensors import Storage, map_file

_MAX_PICKLE_BYTES = 1 << 27
_LOCAL_HEADER = struct.Struct('<4s22xHH')
_ENCRYPTED = 1
_STREAM_MAGIC = 0x1950A86A20F9469CFC6C
_STREAM_PROTOCOL = 1001


def read_torch_zip(path: Path) -> Any:
    """Return what the archive's pickle builds; its tensors' numbers stay in the file."""
    return _Archive(path).unpickle()


class _Archive:
    """The members of an archive, as parts of the mapped file."""

    def __init__(self, path: Path) -> None:
        self._members = _list_members(path)
        self._content = memoryview(map_file(path))
        roots = [name[: -len('data.pkl')] for name in self._members if name.endswith('/data.pkl')]
        if len(roots) != 1 or roots[0].count('/') != 1:
            raise ValueError('it is a zip archive, but no PyTorch checkpoint: it has no data.pkl')
        self._root = roots[0]
        if f'{self._root}constants.pkl' in self._members:
            raise ValueError(
                'it is a TorchScript program, not a file of weights: save its state_dict instead'
            )
        order = f'{self._root}byteorder'
        self._big_endian = order in self._members and bytes(self._read(order)) == b'big'
        self._storages: dict[str, Storage] = {}

    def unpickle(self) -> Any:
        pickle = self._read(f'{self._root}data.pkl')
        if len(pickle) > _MAX_PICKLE_BYTES:
            raise ValueError(f'its pickle has {len(pickle)} bytes, more than any weights need')
        return Unpickler(io.BytesIO(pickle), self._find_storage).load()

    def _find_storage(self, identity: Any) -> Storage:
        key, dtype, size = _parse_storage_id(identity)
        storage = self._storages.get(key)
        if storage is None:
            data = self._read(f'{self._root}data/{key}')
            storage = self._storages[key] = Storage(key, dtype, size, data, self._big_endian)
        if (storage.dtype, storage.size) != (dtype, size) or len(storage.data) < storage.nbytes:
            raise ValueError(
                f'storage {key!r} has {len(storage.data)} bytes, too few for the {size} numbers '
                f'of {dtype} that the pickle speaks of'
            )
        return storage

    def _read(self, name: str) -> memoryview:
        info = self._members.get(name)
        if info is None:
            raise ValueError(f'its member {name!r} is missing')
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & _ENCRYPTED:
            raise ValueError(
                f'its member {name!r} is compressed or encrypted, which PyTorch never does'
            )
        start = info.header_offset + _LOCAL_HEADER.size
        header = self._content[info.header_offset : start]
        if len(header) < _LOCAL_HEADER.size or header[:4] != b'PK\x03\x04':
            raise ValueError(f'its member {name!r} is not where the archive lists it')
        start += sum(_LOCAL_HEADER.unpack(header)[1:])
        data = self._content[start : start + info.file_size]
        if len(data) != info.file_size:
            raise ValueError(f'its member {name!r} ends before its {info.file_size} bytes')
        # torch.serialization.set_crc32_options(False) writes 0.
        if info.CRC not in (0, zlib.crc32(data)):
            raise ValueError(f'its member {name!r} is damaged: the checksum differs')
        return data


def _list_members(path: Path) -> dict[str, zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, struct.error, OverflowError, OSError) as error:
        raise ValueError('it is a zip archive cut short or damaged') from error
    members = {info.filename: info for info in infos}
    if len(members) != len(infos):
        raise ValueError('it is a zip archive with two members of one name')
    return members


def read_torch_stream(path: Path) -> Any:
    """Return what the main pickle builds; its tensors' numbers stay in the file."""
    content = map_file(path)
    storages: dict[str, Storage] = {}

    def find_storage(identity: Any) -> Storage:
        key, dtype, size = _parse_storage_id(identity)
        if len(identity) > 5 and identity[5] is not None:
            raise ValueError(f'storage {key!r} is a view of another, as only PyTorch 0.1 wrote it')
        known = storages.setdefault(key, Storage(key, dtype, size))
        if (known.dtype, known.size) != (dtype, size):
            raise ValueError(f'storage {key!r} is described in two ways')
        return known

    if Unpickler(content, _refuse_storage).load() != _STREAM_MAGIC:
        raise ValueError('it is a pickle, but no PyTorch checkpoint: it has another magic number')
    protocol = Unpickler(content, _refuse_storage).load()
    if protocol != _STREAM_PROTOCOL:
        raise ValueError(f'it has protocol {protocol!r:.20}, expected {_STREAM_PROTOCOL}')
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


def _parse_storage_id(identity: Any) -> tuple[str, str, int]:
    """Return key, dtype and size from a storage's persistent id."""
    if type(identity) is not tuple or len(identity) < 5 or identity[0] != 'storage':
        raise ValueError('its pickle refers to something that is no storage')
    kind, key, _, size = identity[1:5]
    if not isinstance(kind, StorageKind) or not isinstance(key, str) or type(size) is not int:
        raise ValueError('its pickle refers to a storage in a way that PyTorch never does')
    if size < 0:
        raise ValueError(f'storage {key!r} has {size} numbers')
    return key, kind.dtype, size
