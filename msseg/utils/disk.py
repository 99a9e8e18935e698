"""Room on the disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_MIB = 2**20


def check_room(folder: str | Path, needed_bytes: int) -> None:
    """Raise OSError when a folder's disk has not so many bytes left.

    A quota shows only when it is hit: this spares a disk that is known to be full.
    """
    if _free_bytes(folder) < needed_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def describe_room(folder: str | Path, needed_bytes: int) -> str:
    """Return what a file needs and what its folder's disk has, for an error."""
    needed = f'needs {needed_bytes / _MIB:.1f} MiB'
    try:
        return f'{needed}, the disk has {_free_bytes(folder) / _MIB:.1f} MiB'
    except OSError:  # the folder is gone, which the error says already
        return needed


def _free_bytes(folder: str | Path) -> int:
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize
