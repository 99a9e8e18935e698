"""ConfigDict: a dict with attribute access, its place in the config, and the files of its keys."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from msseg.utils.errors import UserValueError
from msseg.utils.plain_yaml import MAX_DEPTH, MAX_VALUES
from msseg.utils.suggest import did_you_mean

MAX_BYTES = 2**21
_MAX_KEY = 1_000
_CONTAINERS = (dict, list, tuple, set, frozenset)


class ConfigDict(dict):
    """A node of a config: a dict whose keys are attributes too.

    A missing key is an error. Dicts put into it, also inside lists and tuples, become nodes as
    well. Copies, deep copies and pickles keep the path and the files.

    Examples:
        >>> node = ConfigDict(backbone=dict(depth=18))
        >>> node.backbone.depth
        18
        >>> node.backbone.dept
        Traceback (most recent call last):
        AttributeError: 'ConfigDict' object has no attribute 'dept'. Did you mean 'depth'?

    Source: MMCV 1.7 ``mmcv.utils.ConfigDict``; the paths and files are our own.
    """

    _config_path: str | None = None
    _config_files: Mapping[Any, str] = MappingProxyType({})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        object.__setattr__(self, '_config_files', {})
        for key, value in dict(*args, **kwargs).items():
            self[key] = _adopt(value, type(self), copy_all=True)
        for source in args:
            if isinstance(source, ConfigDict):
                _copy_provenance(source, self)

    def config_path(self) -> str:
        """Return the place of this node, as ``model.decode_head[1]``; '' if root or unknown."""
        return self._config_path or ''

    def config_file(self, key: Any) -> str | None:
        """Return the file that set a key, ``'--cfg-options'``, or None if a program did."""
        file = self._config_files.get(key)
        return None if file is None else display_file(file)

    def __setitem__(self, name: Any, value: Any) -> None:
        path = join_key(self._config_path, name)
        super().__setitem__(name, _adopt(value, type(self), path=path))
        self._config_files.pop(name, None)

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name):
            raise AttributeError(f'{name!r} is a method of {type(self).__name__}: write [{name!r}]')
        self[name] = value

    def __getattr__(self, name: str) -> Any:
        if name not in self:
            raise self._no_attribute(name)
        return self[name]

    def __delattr__(self, name: str) -> None:
        if name not in self:
            raise self._no_attribute(name)
        del self[name]

    def __missing__(self, name: Any) -> Any:
        raise KeyError(f'{self.config_path() or "the config"} has no key {self._unknown(name)}')

    def _no_attribute(self, name: str) -> AttributeError:
        kind = type(self).__name__
        return AttributeError(f'{kind!r} object has no attribute {self._unknown(name)}')

    def _unknown(self, name: Any) -> str:
        hint = '' if str(name).startswith('_') else did_you_mean(str(name), map(str, self))
        return f'{name!r}.{hint}' if hint else repr(name)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Merge another mapping into this one, dict by dict."""
        if len(args) > 1:
            raise TypeError(f'update expected at most 1 argument, got {len(args)}')
        other = ConfigDict(*args, **kwargs)
        for key, value in other.items():
            if isinstance(self.get(key), ConfigDict) and isinstance(value, dict):
                self[key].update(value)
            else:
                self.put(key, value, other._config_files.get(key))

    def put(self, key: Any, value: Any, file: str | None) -> None:
        """Set a key and remember the file that it comes from, None for a program's assignment."""
        self[key] = value
        if file is not None:
            self._config_files[key] = file

    def to_dict(self) -> dict:
        """Return plain dicts, lists and tuples of the same content."""
        return _plain(self)

    def copy(self) -> ConfigDict:
        return copy.copy(self)

    def deepcopy(self) -> ConfigDict:
        return copy.deepcopy(self)

    def __or__(self, other: Any) -> ConfigDict:
        if not isinstance(other, dict):
            return NotImplemented
        result = self.copy()
        result.update(other)
        return result

    def __ror__(self, other: Any) -> ConfigDict:
        return type(self)(other) | self if isinstance(other, dict) else NotImplemented

    def __deepcopy__(self, memo: dict) -> ConfigDict:
        result = type(self)()
        memo[id(self)] = result
        for key, value in self.items():
            dict.__setitem__(result, copy.deepcopy(key, memo), copy.deepcopy(value, memo))
        _copy_provenance(self, result)
        return result

    def __reduce__(self) -> tuple:
        return _rebuild, (type(self), dict(self), self._config_path, dict(self._config_files))


def _rebuild(cls: type, items: dict, path: str | None, files: dict[Any, str]) -> ConfigDict:
    node = cls()
    dict.update(node, items)
    object.__setattr__(node, '_config_path', path)
    object.__setattr__(node, '_config_files', files)
    return node


def _copy_provenance(source: ConfigDict, target: ConfigDict) -> None:
    object.__setattr__(target, '_config_path', source._config_path)
    object.__setattr__(target, '_config_files', {**target._config_files, **source._config_files})


def _adopt(value: Any, cls: type, path: str | None = None, copy_all: bool = False) -> Any:
    """Make nodes of the plain dicts in a value; with `copy_all`, copy nodes and lists too."""
    if isinstance(value, dict):
        node = value if isinstance(value, ConfigDict) and not copy_all else cls(value)
        if path is not None and node._config_path is None:
            set_paths(node, path)
        return node
    if isinstance(value, (list, tuple)):
        adopted = [_adopt(v, cls, join_index(path, i), copy_all) for i, v in enumerate(value)]
        if copy_all or any(new is not old for new, old in zip(adopted, value, strict=True)):
            return _like(value, adopted)
    # a NumPy int64 is no int for checks of arguments
    is_number = type(value).__module__ == 'numpy' and getattr(value, 'ndim', None) == 0
    return value.item() if is_number else value


def _like(sequence: list | tuple, items: list) -> list | tuple:
    """Return the items as a sequence of the same type, named tuples included."""
    return type(sequence)(*items) if hasattr(sequence, '_fields') else type(sequence)(items)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return _like(value, [_plain(child) for child in value])
    return value


def split_key(key: str) -> list[str]:
    """Split ``model.decode_head[1].channels`` (or ``model.decode_head.1.channels``) into parts.

    Raises:
        ValueError: An empty part, as in ``a..b``.
    """
    parts = re.sub(r'\[([^\[\].]*)\]', r'.\1', key).split('.')
    if '' in parts:
        raise UserValueError(
            f'{key!r} is no config key', key=key, expected='names separated by single dots'
        )
    return parts


def join_key(path: str | None, key: Any) -> str | None:
    """Return the path of a dict's value, None if the dict's own path is not known."""
    if path is None:
        return None
    return f'{path}.{key}' if path else str(key)


def join_index(path: str | None, index: int) -> str | None:
    """Return the path of a list's element, None if the list's own path is not known."""
    return None if path is None else f'{path}[{index}]'


def display_file(file: str) -> str:
    """Return a file's path for a message: relative if below the current directory."""
    return file.removeprefix(os.path.join(os.getcwd(), '')) if os.path.isabs(file) else file


def set_paths(value: Any, path: str | None) -> None:
    """Set the path of every config dict at and below a value."""
    if isinstance(value, ConfigDict):
        object.__setattr__(value, '_config_path', path)
        for key, child in value.items():
            set_paths(child, join_key(path, key))
    elif isinstance(value, (list, tuple)):
        for index, child in enumerate(value):
            set_paths(child, join_index(path, index))


def set_file(value: Any, file: str) -> None:
    """Set the file of every key at and below a value that has none yet."""
    if isinstance(value, ConfigDict):
        files = {**dict.fromkeys(value, file), **value._config_files}
        object.__setattr__(value, '_config_files', files)
        for child in value.values():
            set_file(child, file)
    elif isinstance(value, (list, tuple)):
        for child in value:
            set_file(child, file)


def count_values(value: Any, where: str) -> int:
    """Return the number of values in a value, with shared ones counted at each use.

    A shared list, such as a YAML alias, is visited once: a few lines may stand for thousands of
    millions of values.

    Args:
        value: What was read.
        where: File and key, for the message.

    Raises:
        ValueError: Too many values, nested too deeply or in itself, or a key or text too long.
    """
    return _measure(value, where, {}, set())[0]


def _measure(
    value: Any, where: str, sizes: dict[int, tuple[int, int]], inside: set[int]
) -> tuple[int, int]:
    """Return how many values there are in a value, and how deep it is nested."""
    if not isinstance(value, _CONTAINERS):
        if isinstance(value, (str, bytes)) and len(value) > MAX_BYTES:
            raise UserValueError(f'{where} has a text of more than {MAX_BYTES // 2**20} MiB')
        return 1, 0
    if id(value) in inside:
        raise UserValueError(f'{where} contains itself')
    count, height = sizes.get(id(value), (1, 0))
    if len(inside) + height >= MAX_DEPTH:
        raise UserValueError(f'{where} is nested more than {MAX_DEPTH} deep')
    if id(value) in sizes:
        return count, height
    inside.add(id(value))
    is_dict = isinstance(value, dict)
    if is_dict and any(isinstance(key, str) and len(key) > _MAX_KEY for key in value):
        raise UserValueError(f'{where} has a key of more than {_MAX_KEY} characters')
    for child in value.values() if is_dict else value:
        child_count, child_height = _measure(child, where, sizes, inside)
        count, height = count + child_count, max(height, child_height + 1)
        if count > MAX_VALUES:
            raise UserValueError(
                f'{where} has more than {MAX_VALUES:,} values',
                advice='keep them in a file of their own, or `del` at the end of the config what '
                'only the config itself needs',
            )
    inside.discard(id(value))
    sizes[id(value)] = count, height
    return count, height
