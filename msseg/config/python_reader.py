"""Run a Python config file and take its variables."""

from __future__ import annotations

import ast
import contextlib
import operator
import os
import types
from collections.abc import Callable, Iterator
from typing import Any

from msseg.config.config_dict import ConfigDict
from msseg.config.limits import MAX_DEPTH, find_double
from msseg.config.variables import BaseVariables
from msseg.utils.foreign_imports import explain_foreign_import
from msseg.utils.user_code import describe_failure

BASE_KEY = '_base_'
_CONTAINERS = (dict, list, tuple, set, frozenset)
_NO_SETTINGS = (
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    type,
    type(annotations),
)


def read_python(
    text: str, filename: str, where: str, load_bases: Callable[[Any], ConfigDict]
) -> dict[str, Any]:
    """Run the text of a config file.

    The bases are loaded as soon as the file has set ``_base_``, so that ``{{ _base_.a }}`` in
    the rest is the inherited value itself: it can be computed with.

    Args:
        text: The Python text, predefined variables filled in.
        filename: Absolute path of the file: its ``__file__``.
        where: The file's name for errors.
        load_bases: Called once with the value of ``_base_``, or None.

    Returns:
        The variables that are settings: no modules, functions, classes or ``__names__``.

    Raises:
        ValueError: The text is no Python, or running it fails (ImportError stays one).
    """
    variables = BaseVariables(text, where)
    tree = _parse(variables, filename)
    split = _after_base(tree)
    stem = os.path.splitext(os.path.basename(filename))[0]
    namespace: dict[str, Any] = {'__name__': stem, '__file__': filename}
    _run(tree.body[:split], variables, namespace, filename)
    base = load_bases(namespace.get(BASE_KEY))
    variables.base = base if BASE_KEY in namespace else None
    _run(tree.body[split:], variables, namespace, filename)
    with _describing_failures(where, filename):
        memo: dict[int, tuple[Any, Any]] = {}
        return {
            name: _as_data(value, memo)
            for name, value in namespace.items()
            if not (name.startswith('__') or name == BASE_KEY or isinstance(value, _NO_SETTINGS))
        }


@contextlib.contextmanager
def _describing_failures(where: str, filename: str) -> Iterator[None]:
    """Raise ValueError, or ImportError, for what a config file's own code runs into."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a config is a program, which may raise or end as it likes
        kind = ImportError if isinstance(error, ImportError) else ValueError
        foreign = explain_foreign_import(error)
        text = f': {foreign}' if foreign else describe_failure(error, filename)
        raise kind(f'{where}{text}') from error


def _as_data(value: Any, memo: dict[int, tuple[Any, Any]], depth: int = 0) -> Any:
    """Return a setting with plain containers and texts in place of classes of the file's own.

    Their methods are the file's own code, too, and are run here for the last time.

    Args:
        value: The setting.
        memo: The containers seen so far, and what stands for them, by id.
        depth: How deep it is nested; what is too deep is left to the check of that.
    """
    if isinstance(value, str):
        return str.__str__(value)
    plain = next((kind for kind in _CONTAINERS if isinstance(value, kind)), None)
    is_kept = isinstance(value, ConfigDict) or hasattr(type(value), '_fields')  # named tuples
    if plain is None or is_kept or depth > MAX_DEPTH:
        return value
    if id(value) in memo:
        return memo[id(value)][1]
    memo[id(value)] = value, value  # one that contains itself stays, to be refused
    if plain is dict:
        items = [item for pair in value.items() for item in pair]
    else:
        items = list(value)
    data = [_as_data(item, memo, depth + 1) for item in items]
    if type(value) is not plain or any(map(operator.is_not, items, data)):
        pairs = zip(data[::2], data[1::2], strict=True)
        memo[id(value)] = value, dict(pairs) if plain is dict else plain(data)
    return memo[id(value)][1]


def _parse(variables: BaseVariables, filename: str) -> ast.Module:
    where = variables.where
    try:
        tree = _PlaceholdersInStrings(variables).visit(ast.parse(variables.text, filename))
        tree = ast.fix_missing_locations(tree)
        compile(tree, filename, 'exec', dont_inherit=True)
    except SyntaxError as error:
        code = (error.text or '').strip()
        line = '' if error.lineno is None else f', line {error.lineno}'
        raise ValueError(f'{where}{line}: {error.msg}: {code}') from error
    except (RecursionError, MemoryError) as error:
        raise ValueError(f'{where}: its expressions are nested too deeply') from error
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.Dict)):
        keys = [key for key in node.keys if isinstance(key, ast.Constant)]
        place = find_double([(type(key.value), key.value) for key in keys])
        if place is not None:
            key = keys[place]
            raise ValueError(f'{where}, line {key.lineno}: the key {key.value!r} stands twice')
    return tree


def _after_base(tree: ast.Module) -> int:
    """Return how many statements it takes to set ``_base_``."""
    for index in reversed(range(len(tree.body))):
        names = (node for node in ast.walk(tree.body[index]) if isinstance(node, ast.Name))
        if any(name.id == BASE_KEY and isinstance(name.ctx, ast.Store) for name in names):
            return index + 1
    return 0


def _run(
    body: list[ast.stmt], variables: BaseVariables, namespace: dict[str, Any], filename: str
) -> None:
    for node in (node for statement in body for node in ast.walk(statement)):
        if isinstance(node, ast.Name) and node.id in variables:
            namespace[node.id] = variables.value(node.id)
    code = compile(ast.Module(body, type_ignores=[]), filename, 'exec', dont_inherit=True)
    with _describing_failures(variables.where, filename):
        exec(code, namespace)


class _PlaceholdersInStrings(ast.NodeTransformer):
    """Make names of the placeholders that stand inside string literals."""

    def __init__(self, variables: BaseVariables) -> None:
        self._variables = variables

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """Leave docstrings alone."""
        return node if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """Turn a string with placeholders into a name or an f-string."""
        parts = self._parts(node)
        if not any(isinstance(part, ast.FormattedValue) for part in parts):
            return node
        if len(parts) == 1:
            return ast.copy_location(parts[0].value, node)
        return ast.copy_location(ast.JoinedStr(parts), node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        """Do the same to the literal parts of an f-string."""
        values = []
        for value in node.values:
            is_text = isinstance(value, ast.Constant)
            values += self._parts(value) if is_text else [self.generic_visit(value)]
        return ast.copy_location(ast.JoinedStr(values), node)

    def _parts(self, node: ast.Constant) -> list[ast.expr]:
        if not isinstance(node.value, str):
            return [node]
        parts: list[ast.expr] = []
        for text in self._variables.split(node.value):
            if text in self._variables:
                name = ast.Name(text, ast.Load())
                parts.append(ast.FormattedValue(name, conversion=-1))
            else:
                parts.append(ast.Constant(text))
        return parts
