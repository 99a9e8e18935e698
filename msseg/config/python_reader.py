"""Run a Python config file and take its variables; fill in ``{{ _base_.a.b }}``."""

from __future__ import annotations

import ast
import contextlib
import copy
import operator
import os
import re
import types
from collections.abc import Callable, Iterator
from typing import Any

from msseg.config.config_dict import ConfigDict, count_values
from msseg.config.read_base import (
    ForeignName,
    LoadModule,
    as_base,
    helpers,
    is_pure_python,
    replace_imports,
)
from msseg.utils.errors import UserKeyError, UserValueError
from msseg.utils.foreign_imports import explain_foreign_import
from msseg.utils.plain_yaml import MAX_DEPTH, MAX_VALUES, find_duplicate
from msseg.utils.shown import shown
from msseg.utils.suggest import nearest
from msseg.utils.user_code import describe_failure

BASE_KEY = '_base_'
_BASE = re.compile(r'\{\{\s*_base_\.([\w.]+)\s*\}\}')
_PLACEHOLDER = re.compile(r'(__base_variable_\d+__)')
_CONTAINERS = (dict, list, tuple, set, frozenset)
_NO_SETTINGS = (
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    ForeignName,
    type,
    type(annotations),
)


class BaseVariables:
    """The ``{{ _base_.a.b }}`` of one file.

    The text keeps its lines: every variable becomes a placeholder, a Python name, whose value is
    looked up once the bases are known.

    Args:
        text: Text of a config file.
        where: The file's name for errors.
        quote: Whether a placeholder outside a string needs quotes to be valid (JSON).
    """

    def __init__(self, text: str, where: str, quote: bool = False) -> None:
        self.where = where
        self.base: ConfigDict | None = None
        self._keys: dict[str, tuple[str, int]] = {}
        self._quote = quote
        self._filled = 0
        self.text = _BASE.sub(self._placeholder, text)

    def _placeholder(self, match: re.Match) -> str:
        before = match.string[: match.start()]
        name = f'__base_variable_{len(self._keys)}__'
        self._keys[name] = match[1], before.count('\n') + 1
        line = before.rpartition('\n')[2].replace('\\"', '')
        return f'"{name}"' if self._quote and line.count('"') % 2 == 0 else name

    def __contains__(self, name: str) -> bool:
        return name in self._keys

    def value(self, name: str) -> Any:
        """Return a copy of the inherited value that a placeholder stands for."""
        fields = self._fields(name)
        if self.base is None:
            problem = 'this line comes before `_base_` is set, or no `_base_` is'
            raise UserKeyError(problem, **fields)
        value: Any = self.base
        for part in self._keys[name][0].split('.'):
            if isinstance(value, dict) and part in value:
                value = value[part]
            elif isinstance(value, (list, tuple)) and part.isdigit() and int(part) < len(value):
                value = value[int(part)]
            else:
                is_dict = isinstance(value, dict)
                inside = '' if is_dict else f' in {shown(value)}'
                near = nearest(part, map(str, value), 1) if is_dict else ()
                raise UserKeyError(
                    f'the bases have no {part!r}{inside}', suggestions=near, **fields
                )
        self._filled += count_values(value, f'{self.where}: {fields["who"]}')
        if self._filled > MAX_VALUES:
            problem = f'such variables stand for more than {MAX_VALUES:,} values'
            raise UserValueError(problem, **fields)
        return copy.deepcopy(value)

    def _fields(self, name: str) -> dict[str, Any]:
        key, line = self._keys[name]
        return {'file': self.where, 'line': line, 'who': f'{{{{ _base_.{key} }}}}'}

    def split(self, text: str) -> list[str]:
        """Split a string into the placeholders in it and the text between them."""
        return [part for part in _PLACEHOLDER.split(text) if part]

    def fill(self, value: Any) -> Any:
        """Replace the placeholders in the strings of a JSON or YAML value."""
        if isinstance(value, dict):
            return {self.fill(key): self.fill(child) for key, child in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.fill(child) for child in value)
        if not isinstance(value, str) or not _PLACEHOLDER.search(value):
            return value
        parts = [self._plain_value(part) if part in self else part for part in self.split(value)]
        return parts[0] if len(parts) == 1 else ''.join(map(str, parts))

    def _plain_value(self, name: str) -> Any:
        value = self.value(name)
        if callable(value):
            raise UserValueError(
                'it is a class or function, which only Python configs may use',
                advice='name a registered component by a string',
                **self._fields(name),
            )
        return value


def read_python(
    text: str,
    filename: str,
    where: str,
    load_bases: Callable[[Any], ConfigDict | None],
    load_module: LoadModule,
    names: dict[str, Any],
    is_pure: bool = False,
) -> dict[str, Any]:
    """Run the text of a config file.

    The bases are loaded as soon as the file has set ``_base_``: ``{{ _base_.a }}`` is a value.

    Args:
        text: The Python text.
        filename: Absolute path of the file: its ``__file__``.
        where: The file's name for errors.
        load_bases: Called once with the value of ``_base_``, or None.
        load_module: Called with each base of ``with read_base():``.
        names: Gets the `ForeignName` variables.
        is_pure: Whether another file reads this one by ``read_base``.

    Returns:
        The variables that are settings: no modules, functions, classes or ``__names__``.

    Raises:
        ValueError: The text is no Python, or running it fails (ImportError stays one).
    """
    variables = BaseVariables(text, where)
    tree = _parse(variables, filename)
    stem = os.path.splitext(os.path.basename(filename))[0]
    namespace: dict[str, Any] = {'__name__': stem, '__file__': filename}
    if is_pure or is_pure_python(tree):
        namespace |= helpers(namespace, load_module)
        tree = replace_imports(tree, where)
    split = _after_base(tree)
    _run(tree.body[:split], variables, namespace, filename)
    variables.base = load_bases(namespace.get(BASE_KEY))
    if variables.base is not None and _reads_attributes_of_base(tree):
        namespace[BASE_KEY] = as_base(variables.base)  # MMEngine's ``_base_.a.b``
    _run(tree.body[split:], variables, namespace, filename)
    names |= {k: v for k, v in namespace.items() if isinstance(v, ForeignName)}
    with _describing_failures(where, filename):
        memo: dict[int, tuple[Any, Any]] = {}
        return {
            name: _as_data(value, memo)
            for name, value in namespace.items()
            if not (name.startswith('__') or name == BASE_KEY or isinstance(value, _NO_SETTINGS))
        }


def _parse(variables: BaseVariables, filename: str) -> ast.Module:
    where = variables.where
    try:
        tree = _PlaceholdersInStrings(variables).visit(ast.parse(variables.text, filename))
        tree = ast.fix_missing_locations(tree)
        compile(tree, filename, 'exec', dont_inherit=True)
    except SyntaxError as error:
        problem = f'{error.msg}: {(error.text or "").strip()}'
        raise UserValueError(problem, file=where, line=error.lineno) from error
    except (RecursionError, MemoryError) as error:
        raise UserValueError('its expressions are nested too deeply', file=where) from error
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.Dict)):
        keys = [key for key in node.keys if isinstance(key, ast.Constant)]
        index = find_duplicate([(type(key.value), key.value) for key in keys])
        if index is not None:
            key = keys[index]
            raise UserValueError(f'the key {key.value!r} stands twice', file=where, line=key.lineno)
    return tree


def _after_base(tree: ast.Module) -> int:
    """Return the number of statements up to the last one that sets ``_base_``."""
    for index in reversed(range(len(tree.body))):
        names = (node for node in ast.walk(tree.body[index]) if isinstance(node, ast.Name))
        if any(name.id == BASE_KEY and isinstance(name.ctx, ast.Store) for name in names):
            return index + 1
    return 0


def _reads_attributes_of_base(tree: ast.Module) -> bool:
    nodes = (node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return any(isinstance(node, ast.Name) and node.id == BASE_KEY for node in nodes)


def _run(
    body: list[ast.stmt], variables: BaseVariables, namespace: dict[str, Any], filename: str
) -> None:
    for node in (node for statement in body for node in ast.walk(statement)):
        if isinstance(node, ast.Name) and node.id in variables:
            namespace[node.id] = variables.value(node.id)
    code = compile(ast.Module(body, type_ignores=[]), filename, 'exec', dont_inherit=True)
    with _describing_failures(variables.where, filename):
        exec(code, namespace)


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
    """Return a setting with plain containers and strings in place of the file's own classes.

    Their methods are the file's own code, too, and run here for the last time. What is nested too
    deeply is left for `count_values` to refuse.
    """
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, ForeignName):
        return value.text
    plain = next((kind for kind in _CONTAINERS if isinstance(value, kind)), None)
    is_kept = isinstance(value, ConfigDict) or hasattr(type(value), '_fields')  # named tuples
    if plain is None or is_kept or depth > MAX_DEPTH:
        return value
    if id(value) in memo:
        return memo[id(value)][1]
    memo[id(value)] = value, value  # one that contains itself stays, to be refused
    items = [item for pair in value.items() for item in pair] if plain is dict else list(value)
    data = [_as_data(item, memo, depth + 1) for item in items]
    if type(value) is not plain or any(map(operator.is_not, items, data)):
        pairs = zip(data[::2], data[1::2], strict=True)
        memo[id(value)] = value, dict(pairs) if plain is dict else plain(data)
    return memo[id(value)][1]


class _PlaceholdersInStrings(ast.NodeTransformer):
    """Turn the placeholders inside string literals into names."""

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
        new = parts[0].value if len(parts) == 1 else ast.JoinedStr(parts)
        return ast.copy_location(new, node)

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
        return [
            ast.FormattedValue(ast.Name(text, ast.Load()), conversion=-1)
            if text in self._variables
            else ast.Constant(text)
            for text in self._variables.split(node.value)
        ]
