"""Files in the safetensors format: a JSON header, then the numbers."""

from __future__ import annotations

import json
import math
import mmap
from pathlib import Path
from typing import Any

from msseg.convert.stored_tensor import Storage, StoredTensor

_DTYPES = {
    'F16': 'float16',
    'BF16': 'bfloat16',
    'F32': 'float32',
    'F64': 'float64',
    'I8': 'int8',
    'I16': 'int16',
    'I32': 'int32',
    'I64': 'int64',
    'U8': 'uint8',
    'BOOL': 'bool',
}
MAX_HEADER_BYTES = 100_000_000


def read_safetensors(path: Path) -> dict[str, StoredTensor]:
    """Return the file's tensors; their numbers stay in the file.

    Raises:
        ValueError: The file is damaged or holds numbers of an unknown kind.
    """
    with path.open('rb') as file:
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    length = int.from_bytes(content[:8], 'little')
    if length > min(MAX_HEADER_BYTES, len(content) - 8):
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
    return {name: _describe(name, entry, numbers) for name, entry in header.items()}


def _describe(name: str, entry: Any, numbers: memoryview) -> StoredTensor:
    if not isinstance(entry, dict) or set(entry) != {'dtype', 'shape', 'data_offsets'}:
        raise ValueError(f'its header describes {name!r} in an unknown way')
    dtype, shape, offsets = entry['dtype'], entry['shape'], entry['data_offsets']
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ValueError(f'{name!r} has numbers of kind {dtype!r}, expected one of {list(_DTYPES)}')
    if not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2:
        raise ValueError(f'{name!r} has no valid shape or place')
    start, end = offsets
    storage = Storage(name, _DTYPES[dtype], math.prod(shape), numbers[start:end])
    if end - start != storage.nbytes or len(storage.data) != storage.nbytes:
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
        raise ValueError('its header says something twice')
    return content
