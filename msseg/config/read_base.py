"""Pure-Python configs of MMEngine: ``with read_base():`` and imports of classes.

Nothing is imported: the bases are read as config files, and what a file imports from MMEngine,
MMSegmentation and their relatives, or from PyTorch next to them, becomes names.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Mapping
from typing import Any

from msseg.config.mmseg1x.names import registered_name
from msseg.utils.errors import UserValueError

_READ_BASE = 'read_base'
_BASES, _NAME = '__read_base__', '__foreign_name__'
# A file that imports from one of the first is a pure-Python config; all of them become names.
_OPENMMLAB = ('mmengine', 'mmseg', 'mmpretrain', 'mmdet')
_PACKAGES = (*_OPENMMLAB, 'mmcv', 'mmcls', 'torch', 'torchvision')
# Takes the level, the module and the file's line of ``from ..module import``; returns settings.
LoadModule = Callable[[int, str, int], Mapping[str, Any]]


class ForeignName:
    """Something of a package that is not imported.

    >>> ForeignName('torch.nn').SyncBatchNorm.text, ForeignName('mmpretrain.models.ConvNeXt').text
    ('SyncBN', 'mmcls.ConvNeXt')
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> ForeignName:
        if name.startswith('__'):
            raise AttributeError(name)
        return ForeignName(f'{self._path}.{name}')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise UserValueError(
            f'{self._path} is called',
            expected='only names of other packages, as in dict(type=…)',
            advice='write dict(type=…, …) in its place',
        )

    @property
    def text(self) -> str:
        """The name that the registries here have for it."""
        root, last = self._path.partition('.')[0], self._path.rpartition('.')[2]
        if root != 'torch' and not last[:1].isupper():  # torch.bfloat16 is a name, too
            raise UserValueError(
                f'{self._path} is used as a value',
                expected='only classes of other packages',
                advice='write the value itself',
            )
        return registered_name(self._path)


class BaseDict(dict):
    """A dict of a base, with what configs do to MMEngine's: attributes, `update` and `merge`.

    >>> base = as_base(dict(model=dict(depth=18, width=4)))
    >>> base.update(model=dict(depth=34))
    >>> base.model.depth, base.model.width
    (34, 4)
    """

    def __getattr__(self, name: str) -> Any:
        if name not in self:
            raise AttributeError(f'a dict of the base has no key {name!r}')
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __deepcopy__(self, memo: dict) -> BaseDict:
        return BaseDict({key: copy.deepcopy(value, memo) for key, value in self.items()})

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value if isinstance(value, BaseDict) else as_base(value))

    def pop(self, key: str, default: Any = None) -> Any:
        return super().pop(key, default)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Lay another dict over this one, dict by dict."""
        for key, value in dict(*args, **kwargs).items():
            own = self.get(key)
            if isinstance(own, BaseDict) and isinstance(value, dict):
                own.update(value)
            else:
                self[key] = value

    def merge(self, other: dict[str, Any]) -> None:
        """Lay another dict over this one, dict by dict; ``_delete_`` replaces."""
        other = as_base(other)
        if other.pop('_delete_', False):
            self.clear()
        for key, value in other.items():
            own = self.get(key)
            if isinstance(own, BaseDict) and isinstance(value, dict):
                own.merge(value)
            else:
                self[key] = value


def as_base(value: Any) -> Any:
    """Return a copy of inherited settings whose dicts are `BaseDict`."""
    if isinstance(value, dict):
        return BaseDict({key: as_base(child) for key, child in value.items()})
    if isinstance(value, (list, tuple)) and not hasattr(value, '_fields'):
        return type(value)(as_base(child) for child in value)
    return value


def is_pure_python(tree: ast.Module) -> bool:
    """Whether a file reads its bases by ``read_base``, or imports what such files do."""
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    roots = {root for node in imports for root in _roots(node)}
    modules = [node.module or '' for node in imports if isinstance(node, ast.ImportFrom)]
    is_of_mmcv_2 = any(module.startswith('mmcv.transforms') for module in modules)
    return bool(roots & set(_OPENMMLAB)) or is_of_mmcv_2 or any(map(_is_read_base, tree.body))


def _roots(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.partition('.')[0] for alias in node.names]
    return [node.module.partition('.')[0]] if node.module and node.level == 0 else []


def _is_read_base(node: ast.stmt) -> bool:
    calls = [item.context_expr for item in node.items] if isinstance(node, ast.With) else []
    return len(calls) == 1 and isinstance(calls[0], ast.Call) and (
        getattr(calls[0].func, 'id', getattr(calls[0].func, 'attr', '')) == _READ_BASE
    )  # fmt: skip


def replace_imports(tree: ast.Module, where: str) -> ast.Module:
    """Return a pure-Python config in which bases are read and classes are names.

    Args:
        tree: The file.
        where: Its name for errors.

    Raises:
        ValueError: An import that neither reads a base nor names what it imports.
    """
    body: list[ast.stmt] = []
    for node in tree.body:
        if _is_read_base(node):
            body += [_read(child, where) for child in node.body]
        elif isinstance(node, ast.Import | ast.ImportFrom) and set(_roots(node)) & set(_PACKAGES):
            body += _names(node, where)
        else:
            body.append(node)
    return ast.fix_missing_locations(ast.Module(body, type_ignores=[]))


def _read(node: ast.stmt, where: str) -> ast.stmt:
    if not isinstance(node, ast.ImportFrom) or not node.module:
        raise UserValueError(
            'a statement below read_base() is not read',
            expected='from .file import *',
            file=where,
            line=node.lineno,
        )
    names = [(alias.name, alias.asname or alias.name) for alias in node.names]
    arguments = [ast.Constant(value) for value in (node.level, node.module, node.lineno)]
    pairs = ast.Constant(None if names[0][0] == '*' else tuple(names))
    return _call(node, _BASES, [*arguments, pairs])


def _names(node: ast.Import | ast.ImportFrom, where: str) -> list[ast.stmt]:
    result = []
    for alias in node.names:
        if alias.name == '*':
            raise UserValueError(
                f'from {node.module} import * names nothing',
                advice='write the names that it imports',
                file=where,
                line=node.lineno,
            )
        if isinstance(node, ast.ImportFrom):
            path, bound = f'{node.module}.{alias.name}', alias.asname or alias.name
        elif alias.asname:
            path, bound = alias.name, alias.asname
        else:
            path = bound = alias.name.partition('.')[0]
        target = ast.Name(bound, ast.Store())
        value = _call(node, _NAME, [ast.Constant(path)]).value
        result.append(ast.copy_location(ast.Assign([target], value), node))
    return result


def _call(node: ast.stmt, function: str, arguments: list[ast.expr]) -> ast.Expr:
    call = ast.Call(ast.Name(function, ast.Load()), arguments, [])
    return ast.copy_location(ast.Expr(call), node)


def helpers(namespace: dict[str, Any], load_module: LoadModule) -> dict[str, Any]:
    """Return the functions that `replace_imports` calls, by their names in the file."""

    def read(level: int, module: str, line: int, names: tuple | None) -> None:
        values = load_module(level, module, line)
        pairs = [(name, name) for name in values] if names is None else names
        for name, bound in pairs:
            if name in values:
                namespace[bound] = as_base(values[name])
            elif name not in namespace:
                namespace[bound] = ForeignName(f'{module}.{name}')

    return {_BASES: read, _NAME: ForeignName}
