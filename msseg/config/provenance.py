"""Where a config value stands and which file set it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from msseg.config.config_dict import ConfigDict


def split_key(key: str) -> list[str]:
    """Split ``model.decode_head[1].channels`` (or ``model.decode_head.1.channels``) into parts.

    Raises:
        ValueError: An empty part, as in ``a..b``.
    """
    parts = re.sub(r'\[([^\[\].]*)\]', r'.\1', key).split('.')
    if '' in parts:
        raise ValueError(f'{key!r} is no config key: expected names separated by single dots')
    return parts


def join_key(path: str | None, key: Any) -> str | None:
    """Return the path of a dict's value, None when the dict's own path is not known."""
    if path is None:
        return None
    return f'{path}.{key}' if path else str(key)


def join_index(path: str | None, index: int) -> str | None:
    """Return the path of a list's element, None when the list's own path is not known."""
    return None if path is None else f'{path}[{index}]'


def display_file(file: str) -> str:
    """Return a file's path as a reader wants it: relative when below the current directory."""
    if not os.path.isabs(file):
        return file
    here = os.path.join(os.getcwd(), '')
    return file[len(here) :] if file.startswith(here) else file


def set_paths(value: Any, path: str | None) -> None:
    """Tell every config dict at and below a value where it stands."""
    from msseg.config.config_dict import ConfigDict

    if isinstance(value, ConfigDict):
        object.__setattr__(value, '_config_path', path)
        for key, child in value.items():
            set_paths(child, join_key(path, key))
    elif isinstance(value, (list, tuple)):
        for index, child in enumerate(value):
            set_paths(child, join_index(path, index))


def set_file(value: Any, file: str) -> None:
    """Name the file that set every key, at and below a value, that knows of none yet."""
    from msseg.config.config_dict import ConfigDict

    if isinstance(value, ConfigDict):
        files = {**dict.fromkeys(value, file), **value._config_files}
        object.__setattr__(value, '_config_files', files)
        for child in value.values():
            set_file(child, file)
    elif isinstance(value, (list, tuple)):
        for child in value:
            set_file(child, file)


def put(node: ConfigDict, key: Any, value: Any, file: str | None) -> None:
    """Set a key and remember the file it came from (None: as for any assignment in a program)."""
    node[key] = value
    if file is not None:
        node._config_files[key] = file
