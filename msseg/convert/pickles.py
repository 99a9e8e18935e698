"""Reader of the pickles of weights, which calls nothing that a pickle names.

`pickle.Unpickler` with a list of allowed names would not do: one memo index makes it allocate 32 GB
and a nested tuple as a key overflows the C stack. This one builds dicts, lists, tuples, numbers,
strings and descriptions of tensors, and refuses every other name without looking it up.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from msseg.convert.tensors import Storage, StoredTensor

# A checkpoint of 1600 tensors with optimizer state takes 150,000 instructions.
MAX_INSTRUCTIONS = 2_000_000
MAX_DEPTH = 64
_PLAIN = {
    *('INT', 'BININT', 'BININT1', 'BININT2', 'LONG', 'LONG1', 'LONG4', 'FLOAT', 'BINFLOAT'),
    *('STRING', 'BINSTRING', 'SHORT_BINSTRING', 'BINBYTES', 'SHORT_BINBYTES', 'BINBYTES8'),
    *('UNICODE', 'BINUNICODE', 'SHORT_BINUNICODE', 'BINUNICODE8'),
}
_CONSTANTS = {'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False}
_KEYS = (str, int, float, bytes, type(None))  # hashing a nested tuple recurses without a limit
_MARK = object()


@dataclass(frozen=True)
class _Callee:
    """A name that a pickle may call, and the function that is run for it."""

    name: str
    function: Callable[..., Any]

    def __call__(self, arguments: tuple) -> Any:
        try:
            return self.function(*arguments)
        except TypeError as error:
            raise ValueError(f'its pickle calls {self.name} with wrong arguments') from error


@dataclass(frozen=True)
class StorageKind:
    """The class of a storage."""

    dtype: str


class _Inert:
    """A placeholder for what weights do not need, such as a numpy scalar in ``meta``."""


class Unpickler:
    """A machine that runs one pickle.

    Args:
        file: A file at the start of the pickle; afterwards it is at its end.
        find_storage: Returns the storage for a persistent id.
    """

    def __init__(self, file: BinaryIO, find_storage: Callable[[Any], Storage]) -> None:
        self._file = file
        self._find_storage = find_storage
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        # Nesting by identity; the containers are kept, so that no identity is used twice.
        self._depths: dict[int, int] = {}
        self._containers: list[Any] = []

    def load(self) -> Any:
        """Return what the pickle builds.

        Raises:
            ValueError: The pickle asks for something that is not allowed, or is damaged.
        """
        try:
            return self._run()
        except (IndexError, KeyError, EOFError, OverflowError, AssertionError, struct.error) as e:
            raise ValueError('its pickle is damaged or ends early') from e

    def _run(self) -> Any:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(self._file)):
            if count >= MAX_INSTRUCTIONS:
                raise ValueError(f'its pickle has more than {MAX_INSTRUCTIONS} instructions')
            name = opcode.name
            if name in _PLAIN:
                self._stack.append(argument)
            elif name in _CONSTANTS:
                self._stack.append(_CONSTANTS[name])
            elif name == 'STOP':
                return self._pop()
            elif name in _OPERATIONS:
                _OPERATIONS[name](self, argument)
            else:
                asked = f' for {argument!r}' if name == 'INST' else ''
                raise ValueError(f'its pickle uses the instruction {name}{asked}, which is refused')
        raise EOFError

    # ------------------------------------------------------------ stack and memo

    def _pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise IndexError
        return value

    def _pop_to_mark(self) -> list[Any]:
        for position in range(len(self._stack) - 1, -1, -1):
            if self._stack[position] is _MARK:
                items = self._stack[position + 1 :]
                del self._stack[position:]
                return items
        raise IndexError

    def _pop_several(self, count: int) -> list[Any]:
        return [self._pop() for _ in range(count)][::-1]

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    # ------------------------------------------------------------ containers

    def _push(self, container: Any, items: list[Any]) -> None:
        self._containers.append(container)
        self._stack.append(container)
        self._deepen(container, items)

    def _deepen(self, container: Any, items: list[Any]) -> None:
        below = max((self._depths.get(id(item), 0) for item in items), default=0)
        depth = max(self._depths.get(id(container), 1), below + 1)
        if depth > MAX_DEPTH:
            raise ValueError(f'its pickle nests deeper than {MAX_DEPTH} levels')
        self._depths[id(container)] = depth

    def _push_tuple(self, items: list[Any]) -> None:
        self._push(tuple(items), items)

    def _push_dict(self, items: list[Any]) -> None:
        self._push({}, [])
        self._set_items(items)

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise ValueError(f'its pickle appends to a {type(target).__name__}')
        self._deepen(target, items)
        target.extend(items)

    def _set_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not dict:
            raise ValueError(f'its pickle sets items of a {type(target).__name__}')
        if len(items) % 2:
            raise IndexError
        self._deepen(target, items)
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, _KEYS):
                raise ValueError(f'its pickle has a {type(key).__name__} as key of a dict')
            target[key] = value

    # ------------------------------------------------------------ names

    def _push_name(self, module: Any, name: Any) -> None:
        if not (isinstance(name, str) and isinstance(module, str)):
            raise ValueError('its pickle asks for something whose name is no string')
        full = f'{module}.{name}'
        if full not in _NAMES:
            raise _not_needed(full)
        self._stack.append(_NAMES[full])

    def _reduce(self, _: None) -> None:
        callee, arguments = self._pop_several(2)
        if not isinstance(callee, _Callee) or type(arguments) is not tuple:
            raise ValueError(f'its pickle calls a {type(callee).__name__}, which is refused')
        result = callee(arguments)
        if type(result) in (dict, list, tuple):
            self._push(result, list(result.values()) if type(result) is dict else list(result))
        else:
            self._stack.append(result)

    def _new(self, _: None) -> None:
        """Make an object of a class that is ignored, with what it is made of."""
        kind, _ = self._pop_several(2)
        if not isinstance(kind, _Inert):
            got = type(kind).__name__
            raise ValueError(
                f'its pickle uses the instruction NEWOBJ for a {got}, which is refused'
            )
        self._stack.append(_Inert())

    def _build(self, _: None) -> None:
        """Ignore attributes of dicts and tensors, such as ``_metadata``."""
        self._pop()
        target = self._stack[-1]
        if type(target) is not dict and not isinstance(target, (StoredTensor, _Inert)):
            raise ValueError(f'its pickle sets attributes of a {type(target).__name__}')


# Each takes the machine and the instruction's argument.
_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    'PROTO': lambda m, _: None,
    'FRAME': lambda m, _: None,
    'MARK': lambda m, _: m._stack.append(_MARK),
    'POP': lambda m, _: m._stack.pop(),
    'POP_MARK': lambda m, _: m._pop_to_mark(),
    'EMPTY_LIST': lambda m, _: m._push([], []),
    'EMPTY_DICT': lambda m, _: m._push({}, []),
    'EMPTY_TUPLE': lambda m, _: m._stack.append(()),
    'LIST': lambda m, _: m._push(items := m._pop_to_mark(), items),
    'DICT': lambda m, _: m._push_dict(m._pop_to_mark()),
    'TUPLE': lambda m, _: m._push_tuple(m._pop_to_mark()),
    'TUPLE1': lambda m, _: m._push_tuple(m._pop_several(1)),
    'TUPLE2': lambda m, _: m._push_tuple(m._pop_several(2)),
    'TUPLE3': lambda m, _: m._push_tuple(m._pop_several(3)),
    'APPEND': lambda m, _: m._extend(m._pop_several(1)),
    'APPENDS': lambda m, _: m._extend(m._pop_to_mark()),
    'SETITEM': lambda m, _: m._set_items(m._pop_several(2)),
    'SETITEMS': lambda m, _: m._set_items(m._pop_to_mark()),
    'MEMOIZE': lambda m, _: m._put(len(m._memo)),
    'GLOBAL': lambda m, argument: m._push_name(*argument.partition(' ')[::2]),
    'STACK_GLOBAL': lambda m, _: m._push_name(*m._pop_several(2)),
    'REDUCE': Unpickler._reduce,
    'NEWOBJ': Unpickler._new,
    'BUILD': Unpickler._build,
    'BINPERSID': lambda m, _: m._stack.append(m._find_storage(m._pop())),
    **dict.fromkeys(('PUT', 'BINPUT', 'LONG_BINPUT'), Unpickler._put),
    **dict.fromkeys(('GET', 'BINGET', 'LONG_BINGET'), Unpickler._get),
}


# ------------------------------------------------------------ the names that weights need


# The curves that MMEngine stores next to the weights, and their methods.
_HISTORY = _Inert()
_GETATTR = ('__builtin__.getattr', 'builtins.getattr')


def _method_of_history(name: str) -> Callable[..., Any]:
    def method(owner: Any, *_: Any) -> _Inert:
        if owner is not _HISTORY:
            raise _not_needed(name)
        return _Inert()

    return method


def _not_needed(name: str) -> ValueError:
    return ValueError(
        f'its pickle asks for {name!r}, which no weights need; nothing of it was run. If the file '
        'holds a whole model, save its state_dict instead'
    )


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
    is_rebuild = isinstance(function, _Callee) and function.name.startswith('torch._utils._rebuild')
    if not is_rebuild or type(arguments) is not tuple:
        raise TypeError
    return function(arguments)


def _ordered_dict(pairs: Any = ()) -> dict:
    if type(pairs) not in (list, tuple) or not all(
        type(pair) in (list, tuple) and len(pair) == 2 and isinstance(pair[0], str)
        for pair in pairs
    ):
        raise TypeError
    return dict(pairs)


def _size(lengths: Any) -> tuple:
    if type(lengths) not in (list, tuple) or not all(type(n) is int for n in lengths):
        raise TypeError
    return tuple(lengths)


_STORAGES = {
    'Half': 'float16', 'BFloat16': 'bfloat16', 'Float': 'float32', 'Double': 'float64',
    'Char': 'int8', 'Short': 'int16', 'Int': 'int32', 'Long': 'int64', 'Byte': 'uint8',
    'Bool': 'bool',
}  # fmt: skip
_FUNCTIONS = {
    'collections.OrderedDict': _ordered_dict,
    'torch.Size': _size,
    'torch._utils._rebuild_tensor': _rebuild_tensor,
    'torch._utils._rebuild_tensor_v2': _rebuild_tensor,
    'torch._utils._rebuild_parameter': _rebuild_parameter,
    'torch._utils._rebuild_parameter_with_state': _rebuild_parameter,
    'torch._tensor._rebuild_from_type_v2': _rebuild_from_type,
    **dict.fromkeys(
        ('torch.device', 'numpy.dtype', 'numpy.ndarray', '_codecs.encode',
         'numpy.core.multiarray.scalar', 'numpy.core.multiarray._reconstruct',
         'numpy._core.multiarray.scalar', 'numpy._core.multiarray._reconstruct'),
        lambda *_: _Inert(),
    ),
    **{name: _method_of_history(name) for name in _GETATTR},
}  # fmt: skip
_NAMES: dict[str, Any] = {
    **{name: _Callee(name, function) for name, function in _FUNCTIONS.items()},
    **{f'{module}.{kind}Storage': StorageKind(dtype)
       for module in ('torch', 'torch.cuda') for kind, dtype in _STORAGES.items()},
    'torch.Tensor': _Inert(),
    'torch.nn.parameter.Parameter': _Inert(),
    'mmengine.logging.history_buffer.HistoryBuffer': _HISTORY,
}  # fmt: skip
