"""Places of config files: those that users name, and those that a config inherits from."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path

from msseg.config.config_dict import display_file
from msseg.config.own_configs import CHECKOUT, OWN, own_folder, own_path
from msseg.utils.cli import CONFIG_ENDINGS
from msseg.utils.errors import UserError, UserFileNotFoundError, UserValueError
from msseg.utils.say import STDERR, say
from msseg.utils.suggest import nearest

_SCOPE = '::'
_IN_PACKAGES = ('.mim/configs', 'configs', '../configs')  # of wheels, and of checkouts


def find_config(name: str) -> str:
    """Return the path of the config file that a user names.

    A file of that name comes first, also one without its ending; then the name of one of msseg's
    own, with or without its family and ending, ``msseg::`` and ``configs/``; then that of a file in
    another package, as ``mmseg::…``. Any other name is returned as it is.

    Args:
        name: What the user wrote.

    Raises:
        FileNotFoundError: There is no such package, or no such file in it.
    """
    own = own_path(name)
    path = os.path.expanduser(name)
    file = _with_ending(path)
    if file is not None:
        if file != path:
            other = f'; {OWN}{own} is the one of msseg' if own else ''
            say(f'note: {name} is the file {file} here{other}', STDERR)
        return file
    if own is None:
        return find_base(name, '') if _SCOPE in name else name
    if name.startswith(CHECKOUT):
        say(f'note: there is no file {name} here: it is taken from {OWN}{own}', STDERR)
    return str(own_folder() / own)


def is_config(name: str | Path) -> bool:
    """Whether a name is a config's: by its ending, or as `find_config` finds it without.

    A folder, or another file of this name, is none.
    """
    name = str(name)
    path = os.path.expanduser(name)
    if name.endswith(CONFIG_ENDINGS) or os.path.lexists(path):
        return name.endswith(CONFIG_ENDINGS)
    return _SCOPE in name or own_path(name) is not None or _with_ending(path) is not None


def _with_ending(path: str) -> str | None:
    """Return the file of a path, with or without a config file's ending."""
    return next((path + end for end in ('', *CONFIG_ENDINGS) if os.path.isfile(path + end)), None)


def find_base(name: str, path: str) -> str:
    """Return the path of a base that the file at `path` names.

    Args:
        name: A path, or one in the configs of a package as ``msseg::demo/ocrnet_nuclei.py`` and
            ``mmseg::pspnet/….py``.
        path: The file; '' for a config that the user names.

    Raises:
        FileNotFoundError: There is no such package or file.
    """
    scope, separator, inner = name.partition(_SCOPE)
    if not separator:
        return os.path.join(os.path.dirname(path), os.path.expanduser(name))
    lead = f'{display_file(path)}: the base file {name!r}' if path else f'config file {name!r}'
    if name.startswith(OWN) and (own := own_path(name)):
        return str(own_folder() / own)
    if name.startswith(OWN):
        folders = [own_folder()]
    else:
        folders = [root / part for root in _package(scope) for part in _IN_PACKAGES]
    folder = next((folder for folder in folders if folder.is_dir()), None)
    if folder is None:
        problem = f'{lead}: there is no package {scope!r} with config files'
        raise UserFileNotFoundError(problem, advice='name the file by its path')
    files = (file for file in folder.rglob('*') if file.suffix in CONFIG_ENDINGS)
    names = {file.relative_to(folder).as_posix() for file in files}
    inner = f'{inner}.py' if f'{inner}.py' in names else inner
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
