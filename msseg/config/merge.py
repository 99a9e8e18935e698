"""Inheritance of values: dicts merge, lists are replaced or changed by index."""

from __future__ import annotations

import re
from typing import Any

from msseg.config.config_dict import MAX_VALUES, ConfigDict, count_values, join_index, join_key
from msseg.utils.errors import UserKeyError, UserTypeError, UserValueError
from msseg.utils.shown import shown

DELETE_KEY = '_delete_'
_INDEX = re.compile(r'-?\d+')


def merge_dicts(base: ConfigDict, child: ConfigDict, path: str = '') -> ConfigDict:
    """Return `base` with the values of `child` laid over it; neither is changed.

    A dict merges into a dict. Over a list it changes elements: its keys are indices (int or str)
    or ``'*'`` for all. With ``_delete_=True`` it replaces the inherited value, as any value that
    is not a dict does.

    Args:
        base: The config inherited from.
        child: The config that inherits.
        path: The place of both, for errors.

    Examples:
        >>> base = ConfigDict(head=[dict(channels=8), dict(channels=8)], lr=0.1)
        >>> merge_dicts(base, ConfigDict(head={0: dict(channels=4)}))
        {'head': [{'channels': 4}, {'channels': 8}], 'lr': 0.1}
    """
    result = base.copy()
    for key, value in child.items():
        if key == DELETE_KEY:
            continue
        where, file = join_key(path, key), child._config_files.get(key)
        own_key, key = key, _same_key(key, base)
        if key not in base or not isinstance(value, dict) or value.get(DELETE_KEY, False):
            result.put(key, without_markers(value, where), file)
            continue
        merged = _merge_value(base[key], value, where, _Files(base, child, key, own_key))
        if isinstance(base[key], dict) or _only_changes_dicts(value, base[key]):
            file = base._config_files.get(key)
        result.put(key, merged, file)
    return result


def without_markers(value: Any, path: str | None = '') -> Any:
    """Return a value that replaces another, without the ``_delete_`` keys in it."""
    if isinstance(value, ConfigDict):
        if '*' in value:
            raise UserTypeError(
                "'*' changes every element of an inherited list, but there is no list here",
                key='*',
                file=value.config_file('*'),
                config_path=path or 'the config',
            )
        result = value.copy()
        result.pop(DELETE_KEY, None)
        for key in result:
            clean = without_markers(value[key], join_key(path, key))
            result.put(key, clean, value._config_files.get(key))
        return result
    if isinstance(value, (list, tuple)) and not hasattr(value, '_fields'):
        return type(value)(without_markers(v, join_index(path, i)) for i, v in enumerate(value))
    return value


class _Files:
    """The files of the two sides of a merge, looked up only for an error."""

    def __init__(self, base: ConfigDict, child: ConfigDict, base_key: Any, child_key: Any) -> None:
        self._sides = (base, base_key), (child, child_key)

    def __str__(self) -> str:
        inherited, own = (node.config_file(key) or 'a program' for node, key in self._sides)
        return f' (inherited from {inherited}, changed in {own})'


def _merge_value(base: Any, child: Any, where: str, files: _Files) -> Any:
    if not isinstance(child, ConfigDict) or child.get(DELETE_KEY, False) or base is None:
        return without_markers(child, where)
    if isinstance(base, dict):
        if '*' in child and '*' not in base:
            raise UserTypeError(f"{where} is a dict, not a list: '*' has nothing to change{files}")
        return merge_dicts(base, child, where)
    if isinstance(base, (list, tuple)):
        return _merge_into_list(base, child, where, files)
    raise UserTypeError(
        f'{where} is a dict in the child config but of type {type(base).__name__} ({shown(base)}) '
        f'in its base{files}',
        advice=f'set `{DELETE_KEY}=True` in the dict to replace the inherited value',
    )


def _merge_into_list(
    base: list | tuple, child: ConfigDict, where: str, files: _Files
) -> list | tuple:
    result = list(base)
    for key, value in sorted(child.items(), key=lambda item: item[0] != '*'):
        if key == DELETE_KEY:
            continue
        if key != '*' and not _INDEX.fullmatch(str(key)):
            raise UserTypeError(
                f'{where} is a list of {len(base)}, but the child config gives a dict with the key '
                f'{key!r}{files}',
                advice=f"write an index or '*' (all elements) before it, as in {where}.0.{key} or "
                f'{{0: dict({key}=…)}}, or set `{DELETE_KEY}=True` to replace it',
            )
        if key != '*' and not -len(base) <= int(key) < len(base):
            raise UserKeyError(f'{where} has {len(base)} elements, so no index {key}{files}')
        if key == '*' and len(base) * count_values(value, where) > MAX_VALUES:
            raise UserValueError(f"{where}: '*' makes more than {MAX_VALUES:,} values{files}")
        for index in range(len(base)) if key == '*' else [int(key) % len(base)]:
            result[index] = _merge_value(result[index], value, f'{where}[{index}]', files)
    return type(base)(result)


def _only_changes_dicts(child: ConfigDict, base: Any) -> bool:
    """Whether each change to a list goes into one of its dicts: then the list keeps its file."""
    return isinstance(base, (list, tuple)) and all(
        isinstance(v, dict) for k, v in child.items() if k != DELETE_KEY
    )


def _same_key(key: Any, base: ConfigDict) -> Any:
    """Return the base's own spelling of a key: ``'7'`` of a command line is its int 7."""
    if key not in base and isinstance(key, str) and _INDEX.fullmatch(key) and int(key) in base:
        return int(key)
    return key
