"""Check that paths name regular files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

# A pipe or a terminal would be waited for, a device may never end.
_KINDS = (
    (stat.S_ISDIR, 'a folder'),
    (stat.S_ISFIFO, 'a named pipe'),
    (stat.S_ISSOCK, 'a socket'),
    (stat.S_ISCHR, 'a device'),
    (stat.S_ISBLK, 'a device'),
)


def file_kind(path: str | Path) -> str | None:
    """Return what a path names, also through links, such as ``'a folder'``; None for nothing.

    Examples:
        >>> file_kind('/'), file_kind('/dev/null'), file_kind('/none')
        ('a folder', 'a device', None)
    """
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return None
    if stat.S_ISREG(mode):
        return 'a file'
    return next((name for test, name in _KINDS if test(mode)), 'no regular file')


def check_regular(path: str | Path) -> None:
    """Raise unless a path names a regular file, also through links; nothing is opened.

    Raises:
        FileNotFoundError: There is no such file, or a link that leads nowhere.
        ValueError: It is a folder, a pipe, a socket or a device.
        OSError: It cannot be looked at.
    """
    try:
        os.stat(path)
    except FileNotFoundError:
        raise FileNotFoundError(f'{path}: there is no such file') from None
    kind = file_kind(path)
    if kind not in (None, 'a file'):
        raise ValueError(f'{path}: is {kind}, expected a file')
