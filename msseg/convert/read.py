"""Reading a file of weights that another framework wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from msseg.convert.safetensors import MAX_HEADER_BYTES, read_safetensors
from msseg.convert.stored_tensor import StoredTensor
from msseg.convert.torch_stream import read_torch_stream
from msseg.convert.torch_zip import read_torch_zip

_CONTAINERS = ('state_dict', 'model_state_dict', 'model')
_META = ('CLASSES', 'PALETTE', 'config', 'cfg')
# float16 doubles, tensors share storages; beyond that a small file pretends to be a large one.
_MAX_GROWTH = 16
_READERS = {
    'torch zip': read_torch_zip,
    'torch stream': read_torch_stream,
    'safetensors': read_safetensors,
}


@dataclass
class ForeignFile:
    """Weights under the names that the file has for them.

    Attributes:
        path: The file.
        format: A key of the known formats.
        tensors: Name to numbers; read-only, and in the file as long as nobody looks at them.
        meta: ``CLASSES``, ``PALETTE`` and the text of the ``config``, if the file says them.
    """

    path: Path
    format: str
    tensors: dict[str, np.ndarray]
    meta: dict[str, Any] = field(default_factory=dict)


def sniff_format(path: str | Path) -> str | None:
    """Return the format of a file of weights by its first bytes.

    Returns:
        ``'torch zip'``, ``'torch stream'`` (before PyTorch 1.6), ``'safetensors'``, or None.
    """
    with Path(path).open('rb') as file:
        head = file.read(9)
    if head.startswith(b'PK'):
        return 'torch zip'
    if head[:1] == b'\x80' and head[1:2] in (b'\x02', b'\x03', b'\x04', b'\x05'):
        return 'torch stream'
    if len(head) == 9 and head[8:] == b'{' and head[7] == 0:
        return 'safetensors' if int.from_bytes(head[:8], 'little') <= MAX_HEADER_BYTES else None
    return None


def read_foreign(path: str | Path) -> ForeignFile:
    """Read a PyTorch checkpoint or a safetensors file. Nothing in the file is run.

    Args:
        path: The file; its format is told by its content.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, of another format, or asks for more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {str(path)!r} is not a file')
    kind = sniff_format(path)
    if kind is None:
        raise ValueError(
            f'checkpoint {str(path)!r} is neither a PyTorch checkpoint (.pth) nor a safetensors '
            'file nor a MindSpore checkpoint (.ckpt), or it is damaged'
        )
    try:
        content = _READERS[kind](path)
        tensors = find_weights(content)
        _check_growth(tensors, path.stat().st_size)
        arrays = {name: tensor.to_array() for name, tensor in tensors.items()}
    except (ValueError, MemoryError) as error:
        raise ValueError(f'checkpoint {str(path)!r} is refused: {error}') from error
    return ForeignFile(path, kind, arrays, _find_meta(content))


def find_weights(content: Any) -> dict[str, StoredTensor]:
    """Return the tensors by name, where they stand: at the top, in ``state_dict`` or ``model``.

    Raises:
        ValueError: There are none.
    """
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
    is_dict = isinstance(content, Mapping)
    found = f'a dict of {_names(content)}' if is_dict else f'a {type(content).__name__}'
    raise ValueError(
        f'it holds no weights by name, at the top or in one of {list(_CONTAINERS)}; it is {found}'
    )


def _names(content: Mapping) -> str:
    names = [key for key in content if isinstance(key, str)]
    return f'{[name[:40] for name in names[:8]]}'


def _check_growth(tensors: Mapping[str, StoredTensor], file_size: int) -> None:
    total = sum(tensor.size * max(tensor.storage.itemsize, 4) for tensor in tensors.values())
    if total > _MAX_GROWTH * file_size:
        raise ValueError(f'its tensors would take {total} bytes, the file has {file_size}')


def _find_meta(content: Any) -> dict[str, Any]:
    meta = content.get('meta') if isinstance(content, Mapping) else None
    found = {}
    for key in _META if isinstance(meta, Mapping) else ():
        value = meta.get(key)
        if key == 'CLASSES' and _is_list_of(value, str):
            found[key] = list(value)
        elif key == 'PALETTE' and _is_palette(value):
            found[key] = [list(colour) for colour in value]
        elif key in ('config', 'cfg') and type(value) is str:
            found['config'] = value  # cfg: as MMEngine calls it
    return found


def _is_list_of(value: Any, kind: type) -> bool:
    return isinstance(value, (list, tuple)) and all(type(item) is kind for item in value)


def _is_palette(value: Any) -> bool:
    return _is_list_of(value, list) and all(_is_list_of(colour, int) for colour in value)
