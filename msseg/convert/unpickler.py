"""Reading pickles without running anything.

A pickle is a program for a small stack machine, and Python's own machine calls whatever function
the program names. This one knows what a file of weights needs and calls nothing else: it builds
dicts, lists, tuples, numbers and strings, and descriptions of tensors. Any other name, and any
instruction that could reach one, is refused.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

from msseg.convert.pickled_names import Callee, Inert, find_name
from msseg.convert.stored_tensor import Storage, StoredTensor

# A checkpoint of 1600 tensors with optimizer state takes 150,000 instructions.
MAX_INSTRUCTIONS = 2_000_000
MAX_DEPTH = 64
_PLAIN = {
    *('INT', 'BININT', 'BININT1', 'BININT2', 'LONG', 'LONG1', 'LONG4', 'FLOAT', 'BINFLOAT'),
    *('STRING', 'BINSTRING', 'SHORT_BINSTRING', 'BINBYTES', 'SHORT_BINBYTES', 'BINBYTES8'),
    *('UNICODE', 'BINUNICODE', 'SHORT_BINUNICODE', 'BINUNICODE8'),
}
_CONSTANTS = {'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False}
_MARK = object()


class Unpickler:
    """Runs one pickle.

    Args:
        file: Where it starts; afterwards the position is behind it.
        find_storage: Gives the storage that a persistent id stands for.
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
            ValueError: It asks for something that is not allowed, or is damaged.
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
            elif name in _HANDLERS:
                _HANDLERS[name](self, argument)
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

    def _push_mark(self, _: None) -> None:
        self._stack.append(_MARK)

    def _drop(self, _: None) -> None:
        self._stack.pop()

    def _drop_to_mark(self, _: None) -> None:
        self._pop_to_mark()

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _memoize(self, _: None) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def _ignore(self, _: Any) -> None:
        """PROTO and FRAME say nothing that matters here."""

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

    def _empty_list(self, _: None) -> None:
        self._push([], [])

    def _empty_dict(self, _: None) -> None:
        self._push({}, [])

    def _empty_tuple(self, _: None) -> None:
        self._stack.append(())

    def _list(self, _: None) -> None:
        items = self._pop_to_mark()
        self._push(items, items)

    def _dict(self, _: None) -> None:
        items = self._pop_to_mark()
        self._push({}, [])
        self._fill(items)

    def _tuple(self, _: None) -> None:
        items = self._pop_to_mark()
        self._push(tuple(items), items)

    def _short_tuple(self, length: int) -> None:
        items = [self._pop() for _ in range(length)][::-1]
        self._push(tuple(items), items)

    def _append(self, _: None) -> None:
        self._extend([self._pop()])

    def _appends(self, _: None) -> None:
        self._extend(self._pop_to_mark())

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise ValueError(f'its pickle appends to a {type(target).__name__}')
        self._deepen(target, items)
        target.extend(items)

    def _set_item(self, _: None) -> None:
        value = self._pop()
        self._fill([self._pop(), value])

    def _set_items(self, _: None) -> None:
        self._fill(self._pop_to_mark())

    def _fill(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not dict:
            raise ValueError(f'its pickle sets items of a {type(target).__name__}')
        if len(items) % 2:
            raise IndexError
        self._deepen(target, items)
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Hashing a nested tuple recurses without a limit.
            if not isinstance(key, (str, int, float, bytes, type(None))):
                raise ValueError(f'its pickle has a {type(key).__name__} as key of a dict')
            target[key] = value

    # ------------------------------------------------------------ names

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(' ')
        self._stack.append(find_name(module, name))

    def _stack_global(self, _: None) -> None:
        name, module = self._pop(), self._pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise ValueError('its pickle asks for something whose name is no string')
        self._stack.append(find_name(module, name))

    def _reduce(self, _: None) -> None:
        arguments, callee = self._pop(), self._pop()
        if not isinstance(callee, Callee) or type(arguments) is not tuple:
            raise ValueError(f'its pickle calls a {type(callee).__name__}, which is refused')
        result = callee(arguments)
        if type(result) in (dict, list, tuple):
            self._push(result, list(result.values()) if type(result) is dict else list(result))
        else:
            self._stack.append(result)

    def _build(self, _: None) -> None:
        """Attributes of dicts and tensors (such as ``_metadata``) say nothing of the numbers."""
        self._pop()
        target = self._stack[-1]
        if type(target) is not dict and not isinstance(target, (StoredTensor, Inert)):
            raise ValueError(f'its pickle sets attributes of a {type(target).__name__}')

    def _persistent(self, _: None) -> None:
        self._stack.append(self._find_storage(self._pop()))


_HANDLERS: dict[str, Callable[[Unpickler, Any], None]] = {
    'PROTO': Unpickler._ignore,
    'FRAME': Unpickler._ignore,
    'MARK': Unpickler._push_mark,
    'POP': Unpickler._drop,
    'POP_MARK': Unpickler._drop_to_mark,
    'EMPTY_LIST': Unpickler._empty_list,
    'EMPTY_DICT': Unpickler._empty_dict,
    'EMPTY_TUPLE': Unpickler._empty_tuple,
    'LIST': Unpickler._list,
    'DICT': Unpickler._dict,
    'TUPLE': Unpickler._tuple,
    'TUPLE1': lambda machine, _: machine._short_tuple(1),
    'TUPLE2': lambda machine, _: machine._short_tuple(2),
    'TUPLE3': lambda machine, _: machine._short_tuple(3),
    'APPEND': Unpickler._append,
    'APPENDS': Unpickler._appends,
    'SETITEM': Unpickler._set_item,
    'SETITEMS': Unpickler._set_items,
    'PUT': Unpickler._put,
    'BINPUT': Unpickler._put,
    'LONG_BINPUT': Unpickler._put,
    'MEMOIZE': Unpickler._memoize,
    'GET': Unpickler._get,
    'BINGET': Unpickler._get,
    'LONG_BINGET': Unpickler._get,
    'GLOBAL': Unpickler._global,
    'STACK_GLOBAL': Unpickler._stack_global,
    'REDUCE': Unpickler._reduce,
    'BUILD': Unpickler._build,
    'BINPERSID': Unpickler._persistent,
}
