"""Read a config's text as data: nothing in it is run."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from msseg.config.limits import MAX_BYTES, count_values

_MAX_RANGE = 1000
_NUMBERS = (int, float)
_CONSTANTS = (str, bool, type(None), *_NUMBERS)
_SPECIAL_FLOATS = ('inf', '-inf', 'nan')


def read_literals(
    text: str, where: str, other: Callable[[ast.expr], Any] | None = None
) -> dict[str, Any]:
    """Read the settings in a text as `Config.pretty_text` writes it.

    Understood are numbers, texts, True, False, None, lists, tuples, dicts, ``dict(a=…)``,
    ``set([…])``, ``frozenset([…])``, ``float('inf')``, and short ranges, which become lists.

    Args:
        text: The text, at most `MAX_BYTES` characters.
        where: What it belongs to, for errors.
        other: Gives the value of any other expression; by default such a one is an error.

    Returns:
        The settings by name.

    Raises:
        ValueError: The text is too long, no Python, or holds something else; or see `count_values`.
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f'{where}: {len(text)} characters, expected at most {MAX_BYTES}')
    try:
        body = ast.parse(text).body
    except SyntaxError as error:
        line = '' if error.lineno is None else f', line {error.lineno}'
        raise ValueError(f'{where}{line}: {error.msg}') from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f'{where} cannot be read: {error or "it is nested too deeply"}') from error
    reader = _Reader(where, other)
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
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    target = statement.targets[0]
    if isinstance(target, ast.Name):
        return target.id
    if isinstance(target, ast.Subscript) and ast.unparse(target.value) == 'globals()':
        key = target.slice
        return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None
    return None


class _Reader:
    def __init__(self, where: str, other: Callable[[ast.expr], Any] | None) -> None:
        self._where = where
        self._other = other

    def refusal(self, node: ast.AST) -> ValueError:
        return ValueError(
            f'{self._where}, line {node.lineno}: {ast.unparse(node)[:60]!r} is no plain value '
            '(numbers, texts, lists, dict(…)); nothing in it is run. Give the config file itself'
        )

    def read(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant) and isinstance(node.value, _CONSTANTS):
            return node.value
        if isinstance(node, ast.List):
            return [self.read(child) for child in node.elts]
        if isinstance(node, ast.Tuple):
            return tuple(self.read(child) for child in node.elts)
        if isinstance(node, ast.Dict) and all(isinstance(k, ast.expr) for k in node.keys):
            keys = [self._key(key) for key in node.keys]
            return dict(zip(keys, map(self.read, node.values), strict=True))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            number = node.operand.value if isinstance(node.operand, ast.Constant) else None
            if type(number) in _NUMBERS:
                return -number
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self._call(node, node.func.id)
        return self._refuse(node)

    def _key(self, node: ast.expr) -> Any:
        is_plain = isinstance(node, (ast.Constant, ast.UnaryOp)) or (
            isinstance(node, ast.Tuple)
            and all(isinstance(child, (ast.Constant, ast.UnaryOp)) for child in node.elts)
        )
        return self.read(node) if is_plain else self._refuse(node)

    def _call(self, node: ast.Call, name: str) -> Any:
        names = [keyword.arg for keyword in node.keywords]
        if name == 'dict' and not node.args and None not in names:
            return {keyword.arg: self.read(keyword.value) for keyword in node.keywords}
        argument = node.args[0] if len(node.args) == 1 and not names else None
        value = argument.value if isinstance(argument, ast.Constant) else None
        if name == 'float' and value in _SPECIAL_FLOATS:
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
