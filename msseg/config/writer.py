"""Configs as text: write Python, JSON or YAML, and read such Python without running it."""

from __future__ import annotations

import ast
import inspect
import json
import keyword
import math
from collections.abc import Callable
from enum import Enum
from pathlib import PurePath
from typing import Any, NamedTuple

import yaml

from msseg.config.config_dict import MAX_BYTES, count_values, join_index, join_key
from msseg.utils.errors import UserOSError, UserTypeError, UserValueError
from msseg.utils.shown import is_environment, shown

_WIDTH = 79
_MAX_BITS = 1024
_MAX_RANGE = 1000
_CONSTANTS = (str, bool, type(None), int, float)
_LITERALS = (
    *(dict, list, tuple, set, frozenset, range),
    *(bool, int, float, complex, str, bytes, type(None), type(...)),
)


class _YamlDumper(yaml.SafeDumper):
    """PyYAML's writer of plain data and of tuples, which the reader of configs knows."""


_YamlDumper.add_representer(
    tuple,
    lambda dumper, value: dumper.represent_sequence('tag:yaml.org,2002:python/tuple', value),
)


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
        return yaml.dump(_simple(values, ''), Dumper=_YamlDumper, sort_keys=False)
    raise UserOSError(f'config format {file_format!r}', expected='.py, .json, .yaml or .yml')


def to_python(values: dict[str, Any]) -> str:
    """Return Python text that evaluates to the values, in lines of at most 79 characters.

    A class or function under ``type`` is written as its name, by which a registry finds it.

    Raises:
        TypeError: A value that has no literal, such as an object or a lambda.
    """
    lines = []
    for key, value in values.items():
        target = key if _is_name(key) else f'globals()[{key!r}]'
        lines.append(_layout(_literal(value, str(key)), f'{target} = ', '', '') + '\n')
    return ''.join(lines)


def find_unwritable(value: Any, where: str) -> UserTypeError | None:
    """Return the error for the first part of a key's value that no config file can hold."""
    try:
        _literal(value, where)
    except UserTypeError as error:
        return error
    return None


def _simple_leaf(value: Any, where: str | None) -> Any:
    """Return a value of a type that has a literal, or raise TypeError naming its key."""
    if type(value).__module__ == 'numpy' and hasattr(value, 'tolist'):
        return value.tolist()
    is_large = isinstance(value, int) and value.bit_length() > _MAX_BITS
    is_literal = isinstance(value, _LITERALS) and not isinstance(value, Enum) and not is_large
    if is_literal and not is_environment(value):
        return value
    if isinstance(value, PurePath):
        return str(value)
    has_name = inspect.isclass(value) or inspect.isfunction(value) and value.__name__ != '<lambda>'
    if has_name and (where or '').split('.')[-1] == 'type':
        return value.__name__
    advice = 'use numbers, strings, lists, tuples and dicts, and name registered components'
    raise UserTypeError(
        f'{where}: {shown(value)} cannot be written into a config file',
        key=where or '',
        got=value,
        advice='use a smaller number' if is_large else advice,
    )


def _simple(value: Any, where: str) -> Any:
    """Return a value in plain dicts, lists, tuples and scalars for JSON and YAML."""
    value = _simple_leaf(value, where)
    if not isinstance(value, (dict, list, tuple, str, bool, int, float, type(None))):
        raise UserTypeError(f'{where}: {shown(value)} has no form in JSON and YAML', key=where)
    if isinstance(value, dict):
        return {key: _simple(child, join_key(where, key)) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_simple(child, join_index(where, i)) for i, child in enumerate(value))
    return value


class _Group(NamedTuple):
    """A list, tuple or dict: its brackets, and its items with the text before each."""

    start: str
    items: list[tuple[str, str | _Group]]
    end: str
    text: str


def _group(start: str, items: list[tuple[str, str | _Group]], end: str) -> _Group:
    texts = [lead + (item if isinstance(item, str) else item.text) for lead, item in items]
    comma = ',' if start == '(' and len(items) == 1 else ''
    return _Group(start, items, end, f'{start}{", ".join(texts)}{comma}{end}')


def _literal(value: Any, where: str | None) -> str | _Group:
    value = _simple_leaf(value, where)
    if isinstance(value, dict):
        items = [(key, _literal(child, join_key(where, key))) for key, child in value.items()]
        if all(_is_name(key) for key in value):
            return _group('dict(', [(f'{key}=', item) for key, item in items], ')')
        return _group('{', [(f'{_flat(key, where)}: ', item) for key, item in items], '}')
    if isinstance(value, (list, tuple)):
        items = [('', _literal(child, join_index(where, i))) for i, child in enumerate(value)]
        return _group('[', items, ']') if isinstance(value, list) else _group('(', items, ')')
    if isinstance(value, (set, frozenset)):
        return f'{type(value).__name__}([{", ".join(sorted(_flat(v, where) for v in value))}])'
    if isinstance(value, str):
        # an escaped brace, or the text would be read as a variable such as {{ fileDirname }}
        return repr(str.__str__(value)).replace('{{', '{\\x7b')
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    # not the `__repr__` of a user's class
    kinds = (bool, int, float, complex, bytes, object)
    kind = next(kind for kind in kinds if isinstance(value, kind))
    return repr(value) if kind is object else kind.__repr__(value)


def _flat(value: Any, where: str | None) -> str:
    literal = _literal(value, where)
    return literal if isinstance(literal, str) else literal.text


def _is_name(key: Any) -> bool:
    return isinstance(key, str) and key.isidentifier() and not keyword.iskeyword(key)


def _layout(node: str | _Group, lead: str, indent: str, after: str) -> str:
    """Return a literal on one line if it fits, else with its items on lines of their own."""
    text = node if isinstance(node, str) else node.text
    whole = f'{indent}{lead}{text}{after}'
    if isinstance(node, str) or not node.items or len(whole) <= _WIDTH:
        return whole
    inner = indent + '    '
    if all(isinstance(item, str) and not before for before, item in node.items):
        lines = _fill([item + ',' for _, item in node.items], inner)
    else:
        lines = [_layout(item, before, inner, ',') for before, item in node.items]
    return '\n'.join([f'{indent}{lead}{node.start}', *lines, f'{indent}{node.end}{after}'])


def _fill(words: list[str], indent: str) -> list[str]:
    lines = [indent + words[0]]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) <= _WIDTH:
            lines[-1] += ' ' + word
        else:
            lines.append(indent + word)
    return lines


def read_literals(
    text: str, where: str, other: Callable[[ast.expr], Any] | None = None
) -> dict[str, Any]:
    """Read the settings in a text that `to_python` wrote, as data: nothing in it is run.

    Understood are numbers, strings, True, False, None, lists, tuples, dicts, ``dict(a=…)``,
    ``set([…])``, ``frozenset([…])``, ``float('inf')``, and short ranges, which become lists.

    Args:
        text: The text, at most `MAX_BYTES` characters.
        where: Its origin, for errors.
        other: Returns the value of any other expression, which is an error by default.

    Raises:
        ValueError: The text is too long, no Python, or holds something else; or see `count_values`.

    Examples:
        >>> read_literals("model = dict(type='HRNet', sizes=[1, 2])", 'config.py')
        {'model': {'type': 'HRNet', 'sizes': [1, 2]}}
    """
    if len(text) > MAX_BYTES:
        problem = f'{len(text)} characters, expected at most {MAX_BYTES}'
        raise UserValueError(problem, file=where)
    try:
        body = ast.parse(text).body
    except SyntaxError as error:
        raise UserValueError(error.msg, file=where, line=error.lineno) from error
    except (ValueError, RecursionError, MemoryError) as error:
        reason = error or 'it is nested too deeply'
        raise UserValueError(f'it cannot be read: {reason}', file=where) from error
    reader = _LiteralReader(where, other)
    settings = {}
    for statement in body:
        name = _target(statement)
        if name is not None:
            settings[name] = reader.read(statement.value)
        elif other is None:
            raise reader.refusal(statement)
    count_values(settings, where)
    return settings


def _target(statement: ast.stmt) -> str | None:
    """Return what ``name = …`` or ``globals()['name'] = …`` sets, None for other statements."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    if target is None or len(statement.targets) != 1:
        return None
    if isinstance(target, ast.Subscript) and ast.unparse(target.value) == 'globals()':
        key = target.slice
        return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None
    return target.id if isinstance(target, ast.Name) else None


class _LiteralReader:
    def __init__(self, where: str, other: Callable[[ast.expr], Any] | None) -> None:
        self._where = where
        self._other = other

    def refusal(self, node: ast.AST) -> UserValueError:
        return UserValueError(
            f'{ast.unparse(node)[:60]!r} is no plain value (numbers, texts, lists, dict(…)), and '
            'nothing in it is run',
            advice='give the config file itself',
            file=self._where,
            line=node.lineno,
        )

    def read(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant) and isinstance(node.value, _CONSTANTS):
            return node.value
        if isinstance(node, (ast.List, ast.Tuple)):
            items = [self.read(child) for child in node.elts]
            return items if isinstance(node, ast.List) else tuple(items)
        if isinstance(node, ast.Dict) and all(isinstance(k, ast.expr) for k in node.keys):
            keys = [self._key(key) for key in node.keys]
            return dict(zip(keys, map(self.read, node.values), strict=True))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            number = node.operand.value if isinstance(node.operand, ast.Constant) else None
            if type(number) in (int, float):
                return -number
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self._call(node, node.func.id)
        return self._refuse(node)

    def _key(self, node: ast.expr) -> Any:
        parts = node.elts if isinstance(node, ast.Tuple) else [node]
        is_plain = all(isinstance(part, (ast.Constant, ast.UnaryOp)) for part in parts)
        return self.read(node) if is_plain else self._refuse(node)

    def _call(self, node: ast.Call, name: str) -> Any:
        names = [keyword.arg for keyword in node.keywords]
        if name == 'dict' and not node.args and None not in names:
            return {keyword.arg: self.read(keyword.value) for keyword in node.keywords}
        argument = node.args[0] if len(node.args) == 1 and not names else None
        value = argument.value if isinstance(argument, ast.Constant) else None
        if name == 'float' and value in ('inf', '-inf', 'nan'):
            return float(value)
        if name == 'range' and not names and 0 < len(node.args) < 4:
            numbers = [self.read(child) for child in node.args]
            if all(type(n) is int and abs(n) <= _MAX_RANGE for n in numbers) and numbers[-1]:
                return list(range(*numbers))
        if name in ('set', 'frozenset') and isinstance(argument, ast.List):
            items = [self._key(child) for child in argument.elts]
            return set(items) if name == 'set' else frozenset(items)
        return self._refuse(node)

    def _refuse(self, node: ast.expr) -> Any:
        if self._other is None:
            raise self.refusal(node)
        return self._other(node)
