"""Opening files that users name: regular files only."""

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


def check_regular(path: str | Path) -> None:
    """Raise unless a path names a regular file, also through links; nothing is opened.

    Raises:
        FileNotFoundError: There is no such file, or a link that leads nowhere.
        ValueError: It is a folder, a pipe, a socket or a device.
        OSError: It cannot be looked at.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise FileNotFoundError(f'{path}: there is no such file') from None
    if not stat.S_ISREG(mode):
        kind = next((name for test, name in _KINDS if test(mode)), 'no regular file')
        raise ValueError(f'{path}: is {kind}, expected a file')
