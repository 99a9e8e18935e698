"""Import the modules that a config lists in ``custom_imports``."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from msseg.utils.foreign_imports import (
    explain_foreign_import,
    find_foreign_imports,
)
from msseg.utils.logging import get_logger, is_first, log_early
from msseg.utils.upstream import OPENMMLAB
from msseg.utils.user_code import describe_failure

# Modules with networks for MMSegmentation's configs, which are in msseg.
_NETWORKS = ('mmcls', 'mmcls.models', 'mmpretrain', 'mmpretrain.models')
_PACKAGE = str(Path(__file__).parents[1])


def import_modules_from_strings(
    imports: str | Sequence[str] | None,
    allow_failed_imports: bool = False,
    folders: Sequence[str] = (),
) -> ModuleType | list[ModuleType | None] | None:
    """Import modules by name.

    Args:
        imports: A dotted name or a list of them.
        allow_failed_imports: Warn about a module that cannot be imported and return None for it.
        folders: Folders of modules besides Python's own path. They stay at the end of
            ``sys.path``, so that worker processes find the modules too.

    Returns:
        The module for a string, a list of modules for a list, None for nothing. The modules of
        mmcls and mmpretrain are not imported: their networks that MMSegmentation's configs use are
        in msseg, which is logged once. In their place is None.

    Source: MMCV 1.7 ``mmcv.utils.import_modules_from_strings``; `folders` is our own.
    """
    if not imports:
        return None
    names = [imports] if isinstance(imports, str) else imports
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise TypeError(f'custom_imports: expected a string or a list of them, got {imports!r}')
    for folder in folders:
        if folder not in sys.path:
            sys.path.append(folder)
    importlib.invalidate_caches()
    modules = [_import(name, allow_failed_imports, folders) for name in names]
    return modules[0] if isinstance(imports, str) else modules


def _import(name: str, allow_failed: bool, folders: Sequence[str]) -> ModuleType | None:
    if name in _NETWORKS:
        message = f'custom_imports: {name} is not imported, msseg has its networks itself'
        if is_first(message):
            log_early(message)
        return None
    _check_parent_is_no_file(name, folders)
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        message = f'custom_imports: {name!r} failed to import{_describe(error, name, folders)}'
        if not allow_failed:
            raise ImportError(message) from error
        get_logger().warning('%s; ignored, because allow_failed_imports is set', message)
        return None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the module is a program, which may raise or end as it likes
        raise ImportError(f'custom_imports: {name!r}{_failure(error)}') from error
    _check_not_hidden(name, module, folders)
    _warn_of_other_registries(module)
    return module


def _describe(error: ImportError, name: str, folders: Sequence[str]) -> str:
    if foreign := explain_foreign_import(error):
        return f': {foreign}'
    missing = getattr(error, 'name', None)
    if missing is None or not f'{name}.'.startswith(f'{missing}.'):
        where = _failure(error)
        is_package = isinstance(error, ModuleNotFoundError) and not f'{missing}.'.startswith(
            'msseg.'
        )
        return f'{where}; install {missing}' if is_package else where
    places = f" (looked in Python's path and {', '.join(folders)})" if folders else ''
    return f'{places}: {error}; put the folder of {name} on PYTHONPATH'


def _failure(error: BaseException) -> str:
    """Describe an error by the user's line that led to it, not by one of msseg."""
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    theirs = [file for file in files if not file.startswith((_PACKAGE, '<frozen'))]
    return (
        f': {theirs[-1]}{describe_failure(error, theirs[-1])}'
        if theirs
        else describe_failure(error)
    )


def _warn_of_other_registries(module: ModuleType) -> None:
    file = getattr(module, '__file__', None)
    if file is None or not any(root in sys.modules for root in OPENMMLAB):
        return
    if found := find_foreign_imports(file, OPENMMLAB):
        get_logger().warning(
            '%s uses packages whose registries and base classes are not those of msseg: %s',
            file,
            '; '.join(map(str, found)),
        )


def _check_parent_is_no_file(name: str, folders: Sequence[str]) -> None:
    parent = name.partition('.')[0]
    for folder in folders if '.' in name else ():
        stem = os.path.join(folder, parent)
        is_plain_folder = os.path.isdir(stem) and not os.path.isfile(f'{stem}/__init__.py')
        if is_plain_folder and os.path.isfile(f'{stem}.py'):
            raise ImportError(
                f'custom_imports: {name!r} is in the folder {stem}, but Python takes {parent!r} to '
                f'be the file {stem}.py; rename one of them, or put an __init__.py in the folder'
            )


def _check_not_hidden(name: str, module: ModuleType, folders: Sequence[str]) -> None:
    """Raise ImportError if a module of the config's own folder was not the one imported."""
    for folder in folders:
        stem = os.path.join(folder, *name.split('.'))
        for file in (f'{stem}.py', os.path.join(stem, '__init__.py')):
            if os.path.isfile(file):
                actual = getattr(module, '__file__', None)
                if actual is None or not os.path.samefile(actual, file):
                    raise ImportError(
                        f'custom_imports: {name!r} is {file}, but another module of that name '
                        f'({actual or "built in"}) comes first; rename the file'
                    )
                return
