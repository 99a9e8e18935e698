"""Locks that let one process at a time write to a folder, or do something.

Not filelock: loader workers, which are forked, must not keep a killed run's lock, and an error must
name the process that holds it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msseg.utils.logging import get_logger

LOCK_FILE = '.msseg.lock'
# the errors of file systems without locks, such as some network file systems
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)
_POLL_S = 0.2
_held: set[int] = set()


class FolderInUseError(OSError):
    """Another process holds the folder."""


@contextmanager
def hold_folder(folder: str | Path) -> Iterator[None]:
    """Hold a folder while the block runs.

    The lock is the kernel's: it ends with the process in any case, and forked processes (loader
    workers) do not keep it. The file ``.msseg.lock`` stays and names the last holder. On a file
    system without locks, a warning is logged and nothing is held.

    Args:
        folder: An existing folder.

    Raises:
        FolderInUseError: Another process, or another call in this one, holds it.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW  # a link may lead to any file
    descriptor = os.open(Path(folder) / LOCK_FILE, flags, 0o644)
    _held.add(descriptor)
    try:
        _lock(descriptor, folder)
        yield
    finally:
        _held.discard(descriptor)
        os.close(descriptor)


@contextmanager
def hold_file(path: str | Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a lock while the block runs; wait for another process that holds it.

    The lock is the kernel's, as that of `hold_folder`, and the file stays.

    Args:
        path: The file to lock, in an existing folder; it is made.
        on_wait: Called once before waiting.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    _held.add(descriptor)
    try:
        if not _try_lock(descriptor, path):
            on_wait()
            # Not by waiting in the kernel: signals are to be heard meanwhile.
            while not _try_lock(descriptor, path):
                time.sleep(_POLL_S)
        yield
    finally:
        _held.discard(descriptor)
        os.close(descriptor)


def _try_lock(descriptor: int, path: str | Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        text = '%s cannot be locked on this file system (%s): start one process at a time'
        get_logger().warning(text, path, error)
    return True


def _lock(descriptor: int, folder: str | Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FolderInUseError(f'{str(folder)!r} is in use by {_holder(descriptor)}') from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        get_logger().warning(
            '%s cannot be locked on this file system (%s): start no second run in it', folder, error
        )
        return
    note = {
        'pid': os.getpid(),
        'host': platform.node(),
        'since': time.strftime('%Y-%m-%d %H:%M:%S'),
        'command': shlex.join(sys.argv),
    }
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(note).encode() + b'\n', 0)


def _holder(descriptor: int) -> str:
    try:
        note = json.loads(os.pread(descriptor, 1 << 16, 0))
        return f'process {note["pid"]} on {note["host"]} since {note["since"]} ({note["command"]})'
    except (ValueError, KeyError, TypeError):  # it has not written the note yet
        return 'another process'


def _let_go_in_child() -> None:
    for descriptor in _held:
        os.close(descriptor)  # the parent's lock stays
    _held.clear()


os.register_at_fork(after_in_child=_let_go_in_child)
