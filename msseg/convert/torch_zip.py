"""The zip archives that PyTorch has written since 1.6: a pickle, and a member per storage."""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from msseg.convert.pickled_names import StorageKind
from msseg.convert.stored_tensor import Storage
from msseg.convert.unpickler import Unpickler

_MAX_PICKLE_BYTES = 1 << 27
_LOCAL_HEADER = struct.Struct('<4s22xHH')
_ENCRYPTED = 1


def read_torch_zip(path: Path) -> Any:
    """Return what the archive's pickle builds; its tensors' numbers stay in the file.

    Raises:
        ValueError: The archive is damaged, or no PyTorch checkpoint.
    """
    with path.open('rb') as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        archive = _Archive(_list_members(file), memoryview(content))
    return archive.unpickle()


class _Archive:
    """The members of an archive, as parts of the mapped file."""

    def __init__(self, members: dict[str, zipfile.ZipInfo], content: memoryview) -> None:
        self._members = members
        self._content = content
        roots = [name[: -len('data.pkl')] for name in members if name.endswith('/data.pkl')]
        if len(roots) != 1 or roots[0].count('/') != 1:
            raise ValueError('it is a zip archive, but no PyTorch checkpoint: it has no data.pkl')
        self._root = roots[0]
        if f'{self._root}constants.pkl' in members:
            raise ValueError(
                'it is a TorchScript program, not a file of weights: save its state_dict instead'
            )
        order = f'{self._root}byteorder'
        self._big_endian = order in members and bytes(self._read(order)) == b'big'
        self._storages: dict[str, Storage] = {}

    def unpickle(self) -> Any:
        """Run the pickle."""
        pickle = self._read(f'{self._root}data.pkl')
        if len(pickle) > _MAX_PICKLE_BYTES:
            raise ValueError(f'its pickle has {len(pickle)} bytes, more than any weights need')
        return Unpickler(io.BytesIO(pickle), self._find_storage).load()

    def _find_storage(self, identity: Any) -> Storage:
        key, dtype, size = parse_storage_id(identity)
        storage = self._storages.get(key)
        if storage is None:
            data = self._read(f'{self._root}data/{key}')
            storage = Storage(key, dtype, size, data, self._big_endian)
            self._storages[key] = storage
        if storage.dtype != dtype or storage.size != size or len(storage.data) < storage.nbytes:
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
        header = self._content[info.header_offset : info.header_offset + _LOCAL_HEADER.size]
        if len(header) < _LOCAL_HEADER.size or header[:4] != b'PK\x03\x04':
            raise ValueError(f'its member {name!r} is not where the archive says')
        _, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        start = info.header_offset + _LOCAL_HEADER.size + name_length + extra_length
        data = self._content[start : start + info.file_size]
        if len(data) != info.file_size:
            raise ValueError(f'its member {name!r} ends before its {info.file_size} bytes')
        # torch.serialization.set_crc32_options(False) writes 0.
        if info.CRC not in (0, zlib.crc32(data)):
            raise ValueError(f'its member {name!r} is damaged: the checksum differs')
        return data


def parse_storage_id(identity: Any) -> tuple[str, str, int]:
    """Return key, dtype and size from a storage's persistent id.

    Raises:
        ValueError: It is none.
    """
    if type(identity) is not tuple or len(identity) < 5 or identity[0] != 'storage':
        raise ValueError('its pickle refers to something that is no storage')
    kind, key, _, size = identity[1:5]
    if not isinstance(kind, StorageKind) or not isinstance(key, str) or type(size) is not int:
        raise ValueError('its pickle refers to a storage in a way that PyTorch never does')
    if size < 0:
        raise ValueError(f'storage {key!r} has {size} numbers')
    return key, kind.dtype, size


def _list_members(file: Any) -> dict[str, zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, struct.error, OverflowError, OSError) as error:
        raise ValueError('it is a zip archive cut short or damaged') from error
    members = {info.filename: info for info in infos}
    if len(members) != len(infos):
        raise ValueError('it is a zip archive with two members of one name')
    return members
