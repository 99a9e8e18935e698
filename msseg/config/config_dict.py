"""A dict with attribute access that knows where it stands and which file set each key."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from addict import Dict

from msseg.config.provenance import display_file, join_index, join_key, set_paths
from msseg.utils.suggest import did_you_mean


class ConfigDict(Dict):
    """A node of a config: a dict whose keys are attributes too.

    Unlike an addict dict, a missing key is an error. Dicts put into it, also inside lists and
    tuples, become nodes as well. Copies, deep copies and pickles keep path and files.

    Source: MMCV 1.7 ``mmcv.utils.ConfigDict``; the provenance is our own.
    """

    _config_path: str | None = None
    _config_files: Mapping[Any, str] = MappingProxyType({})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        object.__setattr__(self, '_config_files', {})
        super().__init__(*args, **kwargs)
        for source in args:
            if isinstance(source, ConfigDict):
                _copy_provenance(source, self)

    def config_path(self) -> str:
        """Return where this node stands, as ``model.decode_head[1]``; '' if root or unknown."""
        return self._config_path or ''

    def config_file(self, key: Any) -> str | None:
        """Return the file that set a key, ``'--cfg-options'``, or None when a program did."""
        file = self._config_files.get(key)
        return None if file is None else display_file(file)

    @classmethod
    def _hook(cls, item: Any) -> Any:
        return _adopt(item, cls, copy_all=True)

    def __setitem__(self, name: Any, value: Any) -> None:
        path = join_key(self._config_path, name)
        super().__setitem__(name, _adopt(value, type(self), path=path))
        self._config_files.pop(name, None)

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
        """Merge another mapping into this one, dict by dict, as addict does."""
        if len(args) > 1:
            raise TypeError(f'update expected at most 1 argument, got {len(args)}')
        other = ConfigDict(*args, **kwargs)
        for key, value in other.items():
            if isinstance(self.get(key), ConfigDict) and isinstance(value, dict):
                self[key].update(value)
                continue
            self[key] = value
            if key in other._config_files:
                self._config_files[key] = other._config_files[key]

    def to_dict(self) -> dict:
        """Return plain dicts, lists and tuples of the same content."""
        return _plain(self)

    def __or__(self, other: Any) -> ConfigDict:
        if not isinstance(other, dict):
            return NotImplemented
        result = self.copy()
        result.update(other)
        return result

    def __ror__(self, other: Any) -> ConfigDict:
        if not isinstance(other, dict):
            return NotImplemented
        return type(self)(other) | self

    def __reduce__(self) -> tuple:
        return _rebuild, (type(self), dict(self), self._config_path, dict(self._config_files))

    def __deepcopy__(self, memo: dict) -> ConfigDict:
        result = type(self)()
        memo[id(self)] = result
        for key, value in self.items():
            dict.__setitem__(result, copy.deepcopy(key, memo), copy.deepcopy(value, memo))
        _copy_provenance(self, result)
        return result


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
    if isinstance(value, ConfigDict) and not copy_all:
        if value._config_path is None and path is not None:
            set_paths(value, path)
        return value
    if isinstance(value, dict):
        node = cls(value)
        if path is not None:
            set_paths(node, path)
        return node
    if isinstance(value, (list, tuple)):
        adopted = [_adopt(v, cls, join_index(path, i), copy_all) for i, v in enumerate(value)]
        if copy_all or any(new is not old for new, old in zip(adopted, value, strict=True)):
            return _like(value, adopted)
    # numpy's numbers are none of Python's: an int64 is no int to what checks its arguments
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
