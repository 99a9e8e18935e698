"""The names that a pickle of weights may ask for, and what stands for each of them here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from msseg.convert.stored_tensor import Storage, StoredTensor


@dataclass(frozen=True)
class Callee:
    """A name that a pickle may call; the call runs our own function."""

    name: str
    function: Callable[..., Any]

    def __call__(self, arguments: tuple) -> Any:
        """Call it with a pickle's arguments; ValueError when they do not fit."""
        try:
            return self.function(*arguments)
        except TypeError as error:
            raise ValueError(f'its pickle calls {self.name} with wrong arguments') from error


@dataclass(frozen=True)
class StorageKind:
    """The class of a storage."""

    dtype: str


class Inert:
    """Stands for something that weights do not need, such as a numpy scalar in ``meta``."""


_STORAGES = {
    'HalfStorage': 'float16',
    'BFloat16Storage': 'bfloat16',
    'FloatStorage': 'float32',
    'DoubleStorage': 'float64',
    'CharStorage': 'int8',
    'ShortStorage': 'int16',
    'IntStorage': 'int32',
    'LongStorage': 'int64',
    'ByteStorage': 'uint8',
    'BoolStorage': 'bool',
}
_INERT = [
    'torch.device',
    'numpy.dtype',
    'numpy.ndarray',
    '_codecs.encode',
    *(
        f'numpy.{package}.multiarray.{function}'
        for package in ('core', '_core')
        for function in ('scalar', '_reconstruct')
    ),
]


def find_name(module: str, name: str) -> Any:
    """Return what stands for ``module.name``.

    Raises:
        ValueError: The name is not one that weights need; it is looked up nowhere.
    """
    full = f'{module}.{name}'
    if full not in _NAMES:
        raise ValueError(
            f'its pickle asks for {full!r}, which no weights need; nothing of it was run. If '
            'the file holds a whole model, save its state_dict instead'
        )
    return _NAMES[full]


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> StoredTensor:
    if not isinstance(storage, Storage) or type(shape) is not tuple or type(stride) is not tuple:
        raise TypeError
    tensor = StoredTensor(storage, offset, shape, stride)
    tensor.check()
    return tensor


def _rebuild_parameter(data: Any, *_: Any) -> StoredTensor:
    if not isinstance(data, StoredTensor):
        raise TypeError
    return data


def _rebuild_from_type(function: Any, kind: Any, arguments: Any, state: Any) -> Any:
    if not isinstance(function, Callee) or not function.name.startswith('torch._utils._rebuild'):
        raise TypeError
    if type(arguments) is not tuple:
        raise TypeError
    return function(arguments)


def _ordered_dict(pairs: Any = None) -> dict:
    if pairs is None:
        return {}
    if type(pairs) is not list or not all(
        type(pair) in (list, tuple) and len(pair) == 2 and isinstance(pair[0], str)
        for pair in pairs
    ):
        raise TypeError
    return dict(pairs)


def _size(lengths: Any) -> tuple:
    if type(lengths) not in (list, tuple) or not all(type(n) is int for n in lengths):
        raise TypeError
    return tuple(lengths)


def _inert(*_: Any) -> Inert:
    return Inert()


def _collect_names() -> dict[str, Any]:
    functions = {
        'collections.OrderedDict': _ordered_dict,
        'torch.Size': _size,
        'torch._utils._rebuild_tensor': _rebuild_tensor,
        'torch._utils._rebuild_tensor_v2': _rebuild_tensor,
        'torch._utils._rebuild_parameter': _rebuild_parameter,
        'torch._utils._rebuild_parameter_with_state': _rebuild_parameter,
        'torch._tensor._rebuild_from_type_v2': _rebuild_from_type,
        **dict.fromkeys(_INERT, _inert),
    }
    names: dict[str, Any] = {name: Callee(name, call) for name, call in functions.items()}
    for storage, dtype in _STORAGES.items():
        names[f'torch.{storage}'] = names[f'torch.cuda.{storage}'] = StorageKind(dtype)
    for kind in ('torch.Tensor', 'torch.nn.parameter.Parameter'):
        names[kind] = Inert()
    return names


_NAMES = _collect_names()
