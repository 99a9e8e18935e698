"""Reader of files of weights that other frameworks wrote."""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from msseg.convert.tensors import DTYPES, Storage, StoredTensor, map_file
from msseg.convert.torch_files import read_torch_stream, read_torch_zip

_CONTAINERS = ('state_dict', 'model_state_dict', 'model')
_META = ('CLASSES', 'PALETTE', 'config', 'cfg')
# float16 doubles, tensors share storages; beyond that a small file pretends to be a large one.
_MAX_GROWTH = 16
_MAX_HEADER_BYTES = 100_000_000
_INDEX = '.index.json'
_MAX_CONFIG_BYTES = 10_000_000
_SAFETENSORS_DTYPES = {
    'F16': 'float16', 'BF16': 'bfloat16', 'F32': 'float32', 'F64': 'float64', 'I8': 'int8',
    'I16': 'int16', 'I32': 'int32', 'I64': 'int64', 'U8': 'uint8', 'BOOL': 'bool',
}  # fmt: skip


@dataclass
class ForeignFile:
    """Weights under the names that the file has for them.

    Attributes:
        path: The file.
        format: ``'torch zip'``, ``'torch stream'``, ``'safetensors'`` or ``'npz'``.
        tensors: Name to numbers; read-only, and in the file until they are used.
        meta: ``CLASSES``, ``PALETTE`` and the text of the ``config``, if the file has them; of
            Hugging Face's files the class names that the ``config.json`` next to them has.
        model_config: The content of that ``config.json``; empty without one.
    """

    path: Path
    format: str
    tensors: dict[str, np.ndarray]
    meta: dict[str, Any] = field(default_factory=dict)
    model_config: dict[str, Any] = field(default_factory=dict)


def sniff_format(path: str | Path) -> str | None:
    """Return the format of a file, see `ForeignFile`, by its first bytes; None for others.

    Only what numpy wrote is known by its ending: both it and PyTorch write zip archives.
    """
    with Path(path).open('rb') as file:
        head = file.read(9)
    if head.startswith(b'PK'):
        return 'npz' if Path(path).suffix == '.npz' else 'torch zip'
    if head[:1] == b'\x80' and head[1:2] in (b'\x02', b'\x03', b'\x04', b'\x05'):
        return 'torch stream'
    if len(head) == 9 and head[7:] == b'\0{':
        return 'safetensors' if int.from_bytes(head[:8], 'little') <= _MAX_HEADER_BYTES else None
    return None


def read_foreign(path: str | Path) -> ForeignFile:
    """Read a file of PyTorch, safetensors, or numpy (.npz) without running anything in it.

    Args:
        path: The file; its content decides about the format. Of a model in several files the
            ``….index.json``.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: It is damaged, of another format, or asks for more than tensors.

    With a file of PyTorch::

        file = read_foreign('ocrnet_hr18.pth')
        print(file.format, file.meta.get('CLASSES'))
        weights = convert(file.tensors).weights
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {str(path)!r} is not a file')
    if path.name.endswith(_INDEX):
        return _read_parts(path)
    kind = sniff_format(path)
    if kind is None:
        raise ValueError(
            f'checkpoint {str(path)!r} is neither a PyTorch checkpoint (.pth) nor a safetensors '
            'file nor a MindSpore checkpoint (.ckpt), or it is damaged'
        )
    try:
        content = _READERS[kind](path)
        tensors = _find_weights(content)
        total = sum(tensor.size * max(tensor.storage.itemsize, 4) for tensor in tensors.values())
        if total > _MAX_GROWTH * path.stat().st_size:
            raise ValueError(
                f'its tensors would take {total} bytes, the file has {path.stat().st_size}'
            )
        arrays = {name: tensor.to_array() for name, tensor in tensors.items()}
        config = _read_model_config(path.with_name('config.json'))
        meta = {**_find_classes(config), **_find_meta(content)}
    except (ValueError, MemoryError) as error:
        raise ValueError(f'checkpoint {str(path)!r} is refused: {error}') from error
    return ForeignFile(path, kind, arrays, meta, config)


def _read_parts(path: Path) -> ForeignFile:
    """Read a model that Hugging Face's library wrote in several files, by their index."""
    try:
        places = json.loads(path.read_bytes()).get('weight_map')
        if not isinstance(places, dict) or not _is_list_of(list(places.values()), str):
            raise ValueError('it has no weight_map')
    except (ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f'index {str(path)!r} cannot be read: {error}') from error
    whole: ForeignFile | None = None
    for name in sorted(set(places.values())):
        if Path(name).name != name or name.endswith(_INDEX):
            raise ValueError(f'index {str(path)!r} names {name!r}, expected a file next to it')
        part = read_foreign(path.with_name(name))
        whole = whole or replace(part, path=path, tensors={})
        whole.tensors.update(part.tensors)
    missing = [name for name in places if whole is None or name not in whole.tensors]
    if whole is None or missing:
        raise ValueError(f'the files of index {str(path)!r} lack {missing[:3] or "all weights"}')
    return whole


def _find_weights(content: Any) -> dict[str, StoredTensor]:
    """Return the tensors by name: those at the top, in ``state_dict`` or in ``model``."""
    node = content
    for _ in range(len(_CONTAINERS) + 1):
        if not isinstance(node, Mapping):
            break
        tensors = {
            name: value
            for name, value in node.items()
            if isinstance(name, str) and isinstance(value, StoredTensor)
        }
        inner = next((key for key in _CONTAINERS if isinstance(node.get(key), Mapping)), None)
        if inner is None and tensors:
            return tensors
        node = node.get(inner)
    found = f'a {type(content).__name__}'
    if isinstance(content, Mapping):
        names = [key[:40] for key in content if isinstance(key, str)]
        found = f'a dict of {names[:8]}'
    raise ValueError(
        f'it holds no weights by name, at the top or in one of {list(_CONTAINERS)}; it is {found}'
    )


def _find_meta(content: Any) -> dict[str, Any]:
    meta = content.get('meta') if isinstance(content, Mapping) else None
    found: dict[str, Any] = {}
    of_data = meta.get('dataset_meta') if isinstance(meta, Mapping) else None
    if isinstance(of_data, Mapping):  # as MMEngine calls it
        named = {key: of_data.get(key.lower()) for key in ('CLASSES', 'PALETTE')}
        meta = {**named, **meta}
    for key in _META if isinstance(meta, Mapping) else ():
        value = meta.get(key)
        if key == 'CLASSES' and _is_list_of(value, str):
            found[key] = list(value)
        elif key == 'PALETTE' and _is_palette(value):
            found[key] = [list(colour) for colour in value]
        elif key in ('config', 'cfg') and type(value) is str:
            found['config'] = value  # cfg: as MMEngine calls it
    return found


def _read_model_config(path: Path) -> dict[str, Any]:
    """Return the description of a model that Hugging Face's library writes next to its weights.

    A file of this name that describes no model is another program's and is not read.
    """
    if not path.is_file() or path.stat().st_size > _MAX_CONFIG_BYTES:
        return {}
    try:
        config = json.loads(path.read_bytes(), object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        if '"model_type"' not in path.read_text('utf-8', 'replace'):
            return {}
        raise ValueError(f'{str(path)!r} next to it cannot be read: {error}') from error
    return config if isinstance(config, dict) and isinstance(config.get('model_type'), str) else {}


def _find_classes(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the class names of a model's description, but for numbered ones."""
    labels = config.get('id2label')
    if not isinstance(labels, dict) or not labels:
        return {}
    names = [labels.get(str(i)) for i in range(len(labels))]
    if not _is_list_of(names, str):
        raise ValueError(
            f"id2label in the config.json next to it has the keys {list(labels)[:3]}…, expected '0'"
            f" to '{len(labels) - 1}', each with a name"
        )
    is_numbered = all(name == f'LABEL_{i}' for i, name in enumerate(names))
    return {} if is_numbered else {'CLASSES': names}


def _is_list_of(value: Any, kind: type) -> bool:
    return isinstance(value, (list, tuple)) and all(type(item) is kind for item in value)


def _is_palette(value: Any) -> bool:
    return _is_list_of(value, list) and all(_is_list_of(colour, int) for colour in value)


def _read_safetensors(path: Path) -> dict[str, StoredTensor]:
    """Return the file's tensors; their numbers stay in the file.

    The package safetensors copies the numbers, and gives no bfloat16 to numpy.
    """
    content = memoryview(map_file(path))
    length = int.from_bytes(content[:8], 'little')
    if length > min(_MAX_HEADER_BYTES, len(content) - 8):
        raise ValueError(f'its header would have {length} bytes, more than the file has')
    try:
        header = json.loads(bytes(content[8 : 8 + length]), object_pairs_hook=_without_doubles)
    except RecursionError as error:
        raise ValueError('its header nests too deeply') from error
    except json.JSONDecodeError as error:
        raise ValueError('its header is no valid JSON') from error
    if not isinstance(header, dict):
        raise ValueError('its header is no JSON object')
    header.pop('__metadata__', None)
    numbers = content[8 + length :]
    return {name: _stored_tensor(name, entry, numbers) for name, entry in header.items()}


def _stored_tensor(name: str, entry: Any, numbers: memoryview) -> StoredTensor:
    if not isinstance(entry, dict) or set(entry) != {'dtype', 'shape', 'data_offsets'}:
        raise ValueError(f'its header describes {name!r} in an unknown way')
    dtype, shape, offsets = entry['dtype'], entry['shape'], entry['data_offsets']
    if not isinstance(dtype, str) or dtype not in _SAFETENSORS_DTYPES:
        known = list(_SAFETENSORS_DTYPES)
        raise ValueError(f'{name!r} has numbers of kind {dtype!r}, expected one of {known}')
    if not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2:
        raise ValueError(f'{name!r} has no valid shape or place')
    start, end = offsets
    size, data = math.prod(shape), numbers[start:end]
    storage = Storage(name, _SAFETENSORS_DTYPES[dtype], size, data)
    if end - start != storage.nbytes or len(data) != storage.nbytes:
        raise ValueError(
            f'{name!r} of shape {shape} and kind {dtype} stands at bytes {start} to {end}, which '
            'does not fit its shape or the file'
        )
    stride = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    return StoredTensor(storage, 0, tuple(shape), tuple(stride))


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 2**62 for v in values)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError('its header has a name twice')
    return content


def _read_npz(path: Path) -> dict[str, StoredTensor]:
    """Return the arrays of numpy's archive; pickles in it are refused."""
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(info.file_size for info in archive.infolist())
        if total > _MAX_GROWTH * path.stat().st_size:
            raise ValueError(f'its arrays would take {total} bytes')
        with np.load(path, allow_pickle=False) as file:
            return {name: _stored_array(name, np.asarray(file[name])) for name in file.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        raise ValueError(f'it is no archive of numpy, or damaged: {error}') from error


def _stored_array(name: str, array: np.ndarray) -> StoredTensor:
    kind = array.dtype.name
    if kind not in DTYPES:
        raise ValueError(f'{name!r} has numbers of kind {kind!r}, expected one of {list(DTYPES)}')
    array = np.ascontiguousarray(array, array.dtype.newbyteorder('<'))
    storage = Storage(name, kind, array.size, memoryview(array.tobytes()))
    stride = [math.prod(array.shape[i + 1 :]) for i in range(array.ndim)]
    return StoredTensor(storage, 0, array.shape, tuple(stride))


_READERS = {
    'npz': _read_npz,
    'torch zip': read_torch_zip,
    'torch stream': read_torch_stream,
    'safetensors': _read_safetensors,
}
