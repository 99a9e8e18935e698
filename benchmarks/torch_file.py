"""Writing arrays as PyTorch's ``torch.save`` would, without PyTorch: something to convert."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

_NORM_LEAVES = {
    'gamma': 'weight',
    'beta': 'bias',
    'moving_mean': 'running_mean',
    'moving_variance': 'running_var',
}


def torch_name(name: str) -> str:
    """Return a parameter's name as MMSegmentation in PyTorch has it."""
    layer, _, leaf = name.rpartition('.')
    return f'{layer}.{_NORM_LEAVES.get(leaf, leaf)}'


def write_torch_file(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write float32 arrays as a checkpoint with a ``state_dict``.

    Args:
        path: The file.
        arrays: By their names in the file.
    """
    tensors = {name: _Tensor(str(key), array) for key, (name, array) in enumerate(arrays.items())}
    stream = io.BytesIO()
    _Pickler(stream, protocol=2).dump({'state_dict': tensors})
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('archive/data.pkl', stream.getvalue())
        for tensor in tensors.values():
            archive.writestr(f'archive/data/{tensor.key}', tensor.array.tobytes())


class _Name:
    """Is pickled as the name of something that need not exist here."""

    def __init__(self, module: str, name: str) -> None:
        self.line = f'c{module}\n{name}\n'.encode()


class _Storage:
    """Is pickled as a reference to a run of numbers."""

    def __init__(self, key: str, size: int) -> None:
        self.identity = ('storage', _Name('torch', 'FloatStorage'), key, 'cpu', size)


class _Tensor:
    def __init__(self, key: str, array: np.ndarray) -> None:
        self.key = key
        self.array = array


class _Pickler(pickle._Pickler):
    """The standard library's pickler in Python, which lets names be written that do not exist."""

    dispatch = pickle._Pickler.dispatch.copy()

    def persistent_id(self, obj: object) -> tuple | None:
        return obj.identity if isinstance(obj, _Storage) else None

    def save_name(self, name: _Name) -> None:
        """Write the instruction that looks a name up."""
        self.write(name.line)

    def save_tensor(self, tensor: _Tensor) -> None:
        """Write the call that rebuilds a tensor."""
        array = tensor.array
        stride = tuple(step // array.itemsize for step in array.strides)
        self.save(_Name('torch._utils', '_rebuild_tensor_v2'))
        self.save((_Storage(tensor.key, array.size), 0, array.shape, stride, False, {}))
        self.write(pickle.REDUCE)

    dispatch[_Name] = save_name
    dispatch[_Tensor] = save_tensor
