"""Memory of this process and this machine, and free space on disks."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import sys
from pathlib import Path

import psutil

_STATUS = Path('/proc/self/status')
_MIB = 2**20


def peak_memory_mb() -> int:
    """Return the largest resident set of this process so far, in MB.

    On Linux from the kernel's high-water mark: getrusage also counts the memory of the parent if
    the process was forked from a large one before it became this program.
    """
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith('VmHWM:'):
                return int(line.split()[1]) // 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == 'darwin' else 1024) // _MIB


def resident_memory() -> int:
    """Return the resident set of this process in bytes."""
    return psutil.Process().memory_info().rss


def available_memory() -> int:
    """Return the bytes of this machine's memory that new processes could take."""
    return psutil.virtual_memory().available


def check_room(folder: str | Path, needed_bytes: int) -> None:
    """Raise OSError if a folder's disk has fewer bytes left.

    A quota shows only when it is hit; this check spares a disk that is known to be full.
    """
    if shutil.disk_usage(folder).free < needed_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def describe_room(folder: str | Path, needed_bytes: int) -> str:
    """Return what a file needs and what its folder's disk has, for an error."""
    needed = f'needs {needed_bytes / _MIB:.1f} MiB'
    try:
        return f'{needed}, the disk has {shutil.disk_usage(folder).free / _MIB:.1f} MiB'
    except OSError:  # the folder is gone, which the error already reports
        return needed
