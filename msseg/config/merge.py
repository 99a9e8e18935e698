"""How a config inherits from another: dicts merge, lists are replaced or changed by index."""

from __future__ import annotations

import re
from typing import Any

from msseg.config.config_dict import ConfigDict
from msseg.config.limits import MAX_VALUES, count_values
from msseg.config.provenance import join_index, join_key, put
from msseg.utils.shown import shown

DELETE_KEY = '_delete_'
_INDEX = re.compile(r'-?\d+')


def merge_dicts(base: ConfigDict, child: ConfigDict, path: str = '') -> ConfigDict:
    """Return `base` with the values of `child` laid over it; neither is changed.

    A dict merges into a dict; over a list it changes elements, its keys being indices (int or
    str) or ``'*'`` for all; with ``_delete_=True`` it replaces whatever was there. Any other
    value replaces.

    Args:
        base: The config inherited from.
        child: The config that inherits.
        path: Where both stand, for errors.

    Raises:
        TypeError: A dict over a value that is neither dict, list nor None.
        KeyError: An index that the list does not have.
    """
    result = base.copy()
    for key, value in child.items():
        if key == DELETE_KEY:
            continue
        key_in_base = _same_key(key, base)
        file = child._config_files.get(key)
        if key_in_base not in base or not isinstance(value, dict) or value.get(DELETE_KEY, False):
            put(result, key_in_base, without_markers(value, join_key(path, key)), file)
            continue
        where = join_key(path, key)
        inherited = base[key_in_base]
        merged = _merge_value(inherited, value, where, _Files(base, child, key_in_base, key))
        if isinstance(inherited, dict) or _only_changes_dicts(value, inherited):
            file = base._config_files.get(key_in_base)
        put(result, key_in_base, merged, file)
    return result


def without_markers(value: Any, path: str | None = '') -> Any:
    """Return a value that replaces, without the ``_delete_`` keys in it.

    Raises:
        TypeError: ``'*'`` as a key, which needs a list to apply to.
    """
    if isinstance(value, ConfigDict):
        if '*' in value:
            raise TypeError(
                f"{path or 'the config'}: '*' changes every element of an inherited list, but "
                f'there is no list here{_set_in(value.config_file("*"))}'
            )
        result = value.copy()
        result.pop(DELETE_KEY, None)
        for key, child in value.items():
            if key != DELETE_KEY:
                clean = without_markers(child, join_key(path, key))
                put(result, key, clean, value._config_files.get(key))
        return result
    if isinstance(value, (list, tuple)) and not hasattr(value, '_fields'):
        return type(value)(without_markers(v, join_index(path, i)) for i, v in enumerate(value))
    return value


class _Files:
    """The files of the two sides of a merge, looked up only for an error."""

    def __init__(self, base: ConfigDict, child: ConfigDict, base_key: Any, child_key: Any) -> None:
        self._sides = (base, base_key), (child, child_key)

    def __str__(self) -> str:
        (base, base_key), (child, child_key) = self._sides
        inherited, own = base.config_file(base_key), child.config_file(child_key)
        return f' (inherited from {inherited or "a program"}, changed in {own or "a program"})'


def _merge_value(base: Any, child: ConfigDict, where: str, files: _Files) -> Any:
    if isinstance(base, dict):
        if '*' in child and '*' not in base:
            raise TypeError(f"{where} is a dict, not a list: '*' has nothing to apply to{files}")
        return merge_dicts(base, child, where)
    if isinstance(base, (list, tuple)):
        return _merge_into_list(base, child, where, files)
    if base is None:
        return without_markers(child, where)
    raise TypeError(
        f'{where} is a dict in the child config but of type {type(base).__name__} ({shown(base)}) '
        f'in its base{files}; set `{DELETE_KEY}=True` in the dict to replace the inherited value'
    )


def _merge_into_list(
    base: list | tuple, child: ConfigDict, where: str, files: _Files
) -> list | tuple:
    result = list(base)
    for key, value in sorted(child.items(), key=lambda item: item[0] != '*'):
        if key == DELETE_KEY:
            continue
        if key != '*' and not _INDEX.fullmatch(str(key)):
            raise TypeError(
                f'{where} is a list of {len(base)}, but the child config gives a dict with the key '
                f"{key!r}{files}; write an index or '*' (all elements) before it, as in "
                f'{where}.0.{key} or {{0: dict({key}=…)}}, or set `{DELETE_KEY}=True` to replace it'
            )
        if key != '*' and not -len(base) <= int(key) < len(base):
            raise KeyError(f'{where} has {len(base)} elements, so no index {key}{files}')
        if key == '*' and len(base) * count_values(value, where) > MAX_VALUES:
            raise ValueError(f"{where}: '*' makes more than {MAX_VALUES:,} values{files}")
        for index in range(len(base)) if key == '*' else [int(key) % len(base)]:
            result[index] = _merge_element(result[index], value, f'{where}[{index}]', files)
    return type(base)(result)


def _merge_element(old: Any, new: Any, where: str, files: _Files) -> Any:
    if not isinstance(new, ConfigDict) or new.get(DELETE_KEY, False):
        return without_markers(new, where)
    return _merge_value(old, new, where, files)


def _only_changes_dicts(child: ConfigDict, base: Any) -> bool:
    """Whether each change to a list goes into one of its dicts, so that the list keeps its file."""
    return isinstance(base, (list, tuple)) and all(
        isinstance(v, dict) for k, v in child.items() if k != DELETE_KEY
    )


def _same_key(key: Any, base: ConfigDict) -> Any:
    """Return the base's own spelling of a key: ``'7'`` of a command line is its int 7."""
    if key not in base and isinstance(key, str) and _INDEX.fullmatch(key) and int(key) in base:
        return int(key)
    return key


def _set_in(file: str | None) -> str:
    return f' (set in {file})' if file else ''
