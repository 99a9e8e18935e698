"""Places of the files that a config inherits from."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path

from msseg.config.config_dict import display_file
from msseg.utils.cli import CONFIG_ENDINGS
from msseg.utils.errors import UserError, UserFileNotFoundError, UserValueError
from msseg.utils.suggest import nearest

OWN = 'msseg::'
_OWN_CONFIGS = Path(__file__).parents[2] / 'configs'
_SCOPE = '::'
_IN_PACKAGES = ('.mim/configs', 'configs', '../configs')  # of wheels, and of checkouts


def find_base(name: str, path: str) -> str:
    """Return the path of a base that the file at `path` names.

    Args:
        name: A path, or one in the configs of a package as ``msseg::demo/ocrnet_nuclei.py`` and
            ``mmseg::pspnet/….py``.
        path: The file.

    Raises:
        FileNotFoundError: There is no such package or file.
    """
    scope, separator, inner = name.partition(_SCOPE)
    if not separator:
        return os.path.join(os.path.dirname(path), os.path.expanduser(name))
    lead = f'{display_file(path)}: the base file {name!r}'
    if name.startswith(OWN):
        folders = [_OWN_CONFIGS] if _OWN_CONFIGS.is_dir() else []
        problem = f'{lead}: this installation has no configs, a checkout has'
    else:
        folders = [root / part for root in _package(scope) for part in _IN_PACKAGES]
        problem = f'{lead}: there is no package {scope!r} with config files'
    folder = next((folder for folder in folders if folder.is_dir()), None)
    if folder is None:
        advice = '' if name.startswith(OWN) else 'name the base by its path'
        raise UserFileNotFoundError(problem, advice=advice)
    files = (file for file in folder.rglob('*') if file.suffix in CONFIG_ENDINGS)
    names = {file.relative_to(folder).as_posix() for file in files}
    if inner not in names:  # nor a file outside of the folder
        raise not_found(lead, inner, names, f'{folder} lists them')
    return str(folder / inner)


def find_module(level: int, module: str, path: str, line: int) -> str:
    """Return the file of ``from {level dots}{module} import`` below ``with read_base():``.

    Args:
        level: Number of leading dots; 1 is the folder of the file.
        module: Dotted name.
        path: The file that imports it.
        line: The line there, for errors.
    """
    parts = module.split('.')
    if level:
        folder = Path(path).parents[level - 1]
        return str(folder.joinpath(*parts).with_suffix('.py'))
    tails = [Path(*parts[1:]), Path('.mim', *parts[1:]), Path('..', *parts[1:])]
    candidates = [root / f'{tail}.py' for root in _package(parts[0]) for tail in tails]
    for candidate in candidates:
        if candidate.is_file():
            return str(candidate)
    raise UserValueError(
        f'read_base: there is no config file {module!r}',
        file=display_file(path),
        line=line,
        advice='import it from a file next to this one, as from .name import *',
    )


def _package(name: str) -> list[Path]:
    """Return the folders of an installed package, which is not imported."""
    try:
        found = importlib.util.find_spec(name) if name.isidentifier() else None
    except ValueError:  # a module without a specification
        return []
    return [Path(folder) for folder in (found and found.submodule_search_locations) or ()]


def not_found(lead: str, name: str, files: Iterable[str], advice: str) -> UserError:
    """Return the error for a file that does not exist, with the nearest of those that do."""
    near = nearest(name, files, 1)
    problem = f'{lead} does not exist'
    return UserFileNotFoundError(problem, suggestions=near, advice='' if near else advice)
