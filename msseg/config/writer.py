"""Write a config as Python, JSON or YAML."""

from __future__ import annotations

import functools
import inspect
import json
import keyword
import math
from enum import Enum
from pathlib import PurePath
from typing import Any

import yaml
from yapf.yapflib.yapf_api import FormatCode

from msseg.config.provenance import join_index, join_key

_STYLE = {
    'based_on_style': 'pep8',
    'blank_line_before_nested_class_or_def': True,
    'split_before_expression_after_opening_paren': True,
}
_LITERALS = (
    *(dict, list, tuple, set, frozenset, range),
    *(bool, int, float, complex, str, bytes, type(None), type(...)),
)


def to_python(values: dict[str, Any]) -> str:
    """Return Python text that evaluates to the values, formatted by yapf.

    A class or function under ``type`` is written as its name, by which a registry finds it.

    Raises:
        TypeError: A value that has no literal, such as an object or a lambda.
    """
    lines = []
    for key, value in values.items():
        target = key if _is_name(key) else f'globals()[{key!r}]'
        lines.append(f'{target} = {_literal(value, str(key))}\n')
    return _formatted(''.join(lines))


@functools.lru_cache(maxsize=8)
def _formatted(text: str) -> str:
    # A run writes its config into its log, its folder and its checkpoints: yapf takes a second.
    return FormatCode(text, style_config=_STYLE)[0]


def to_text(values: dict[str, Any], file_format: str) -> str:
    """Return the values as text in a format: ``.py``, ``.json``, ``.yaml`` or ``.yml``.

    JSON has no tuples: they become lists.

    Raises:
        TypeError: A value that the format cannot hold.
        OSError: An unknown format.
    """
    if file_format == '.py':
        return to_python(values)
    if file_format == '.json':
        return json.dumps(_simple(values, ''), indent=2) + '\n'
    if file_format in ('.yaml', '.yml'):
        return yaml.dump(_simple(values, ''), sort_keys=False)
    raise OSError(f'config format {file_format!r}: write .py, .json, .yaml or .yml')


def _is_name(key: Any) -> bool:
    return isinstance(key, str) and key.isidentifier() and not keyword.iskeyword(key)


def _literal(value: Any, where: str | None) -> str:
    value = _simple_leaf(value, where)
    if isinstance(value, dict):
        return _dict_literal(value, where)
    if isinstance(value, (list, tuple)):
        items = [_literal(child, join_index(where, i)) for i, child in enumerate(value)]
        if isinstance(value, list):
            return f'[{", ".join(items)}]'
        return f'({", ".join(items)}{"," if len(items) == 1 else ""})'
    if isinstance(value, (set, frozenset)):
        items = ', '.join(sorted(_literal(child, where) for child in value))
        return f'{type(value).__name__}([{items}])'
    if isinstance(value, str):
        # an escaped brace, lest the text be taken for a variable such as {{ fileDirname }}
        return repr(str(value)).replace('{{', '{\\x7b')
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    return repr(value)


def _dict_literal(value: dict, where: str | None) -> str:
    items = [(key, _literal(child, join_key(where, key))) for key, child in value.items()]
    if all(_is_name(key) for key in value):
        return f'dict({", ".join(f"{key}={text}" for key, text in items)})'
    return f'{{{", ".join(f"{_literal(key, where)}: {text}" for key, text in items)}}}'


def _simple(value: Any, where: str) -> Any:
    """Return a value in plain dicts, lists and tuples for JSON and YAML."""
    value = _simple_leaf(value, where)
    if isinstance(value, dict):
        return {key: _simple(child, join_key(where, key)) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_simple(child, join_index(where, i)) for i, child in enumerate(value))
    return value


def _simple_leaf(value: Any, where: str | None) -> Any:
    """Return a value of a type that has a literal, or raise TypeError naming its key."""
    if type(value).__module__ == 'numpy' and hasattr(value, 'tolist'):
        return value.tolist()
    if isinstance(value, _LITERALS) and not isinstance(value, Enum):
        return value
    if isinstance(value, PurePath):
        return str(value)
    has_name = inspect.isclass(value) or inspect.isfunction(value) and value.__name__ != '<lambda>'
    if has_name and (where or '').split('.')[-1] == 'type':
        return value.__name__
    raise TypeError(
        f'{where}: {value!r} cannot be written into a config file; use numbers, strings, lists, '
        'tuples and dicts, and register a class or function to name it in `type`'
    )
