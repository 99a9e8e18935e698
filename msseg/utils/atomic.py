"""Atomic writing: files that are either complete or absent."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

_TEMPORARY = re.compile(r'\..+\.(?P<machine>[\w-]+)-(?P<pid>\d+)\.tmp(\.\w+)?')
# Writing changes a file's time continuously: one that is unchanged for so long is abandoned.
_ABANDONED_AFTER_S = 3600.0
_LONGEST_SUFFIX = 16


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name next to `path`; rename it into place if the block succeeds.

    The temporary file keeps the suffix (writers choose a format by it), is flushed to the disk
    before the rename, and is removed if the block raises. Its name has the machine and process.

    Args:
        path: The file's final name, in an existing folder.

    Examples:
        >>> with atomic_path('a.txt') as temporary:
        ...     _ = temporary.write_text('whole')
        >>> Path('a.txt').read_text()
        'whole'
    """
    path = Path(path)
    suffix = path.suffix if len(path.suffix) <= _LONGEST_SUFFIX else ''  # a sentence with a dot
    temporary = temporary_path(path, f'.{_machine()}-{os.getpid()}.tmp{suffix}')
    try:
        yield temporary
        publish(temporary, path)
    finally:
        # this fails if the folder is gone: the block's own error is more useful
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def publish(temporary: Path, path: Path) -> None:
    """Flush a whole file to the disk and give it its final name in the same folder."""
    _fsync(temporary, os.O_RDONLY)
    os.replace(temporary, path)
    _fsync_folder(path.parent)


def temporary_path(path: Path, ending: str) -> Path:
    """Return a hidden name next to `path` that ends in `ending`; a digest shortens a long one."""
    try:
        longest = os.pathconf(path.parent, 'PC_NAME_MAX')
    except OSError:  # the folder does not exist
        longest = 255
    stem = os.fsencode(path.stem)
    room = longest - len(os.fsencode(ending)) - 1
    if len(stem) > room:
        digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]
        stem = stem[: room - len(digest) - 1].decode(errors='ignore').encode() + b'~'
        stem += digest.encode()
    return path.with_name(f'.{os.fsdecode(stem)}{ending}')


def atomic_write_text(path: str | Path, text: str) -> None:
    """Write a small text file atomically; what UTF-8 lacks (bytes of file names) is escaped."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding='utf-8', errors='backslashreplace')


def remove_abandoned(folder: str | Path) -> list[Path]:
    """Remove the temporary files that killed processes left in a folder, and return them.

    Those of a process of this machine go if it has ended; those of other machines, and of a process
    whose number is in use again, if they have not changed for an hour.
    """
    removed = []
    for path in Path(folder).iterdir():
        match = _TEMPORARY.fullmatch(path.name)
        if match and _is_abandoned(path, match['machine'], int(match['pid'])):
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def _is_abandoned(path: Path, machine: str, pid: int) -> bool:
    if machine == _machine() and (pid == os.getpid() or not psutil.pid_exists(pid)):
        return True
    try:
        return time.time() - path.stat().st_mtime > _ABANDONED_AFTER_S
    except FileNotFoundError:  # its process has just finished it
        return False


def _machine() -> str:
    return re.sub(r'[^\w-]', '_', platform.node()) or 'localhost'


def _fsync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fsync_folder(folder: Path) -> None:
    try:
        _fsync(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        # some network file systems cannot flush a folder; the file itself is in place
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
