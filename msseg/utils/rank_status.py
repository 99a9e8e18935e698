"""What each process of a job is doing, for whoever watches over them.

`tools/dist_run.py` gives its processes a folder of the machine; each keeps one small file there in
memory, so a note costs no disk access. Without such a folder nothing is noted.
"""

from __future__ import annotations

import json
import mmap
import os
import time
from dataclasses import dataclass
from pathlib import Path

FOLDER_VARIABLE = 'MSSEG_RANK_STATUS'
_SIZE = 512


@dataclass(frozen=True)
class Status:
    """One note.

    Attributes:
        step: How many things that all processes do together it has begun.
        doing: What it does, for messages.
        since_s: When it began that, on the machine's monotonic clock.
        is_stopping: Whether a signal has asked it to end.
    """

    step: int
    doing: str
    since_s: float
    is_stopping: bool = False


class _Writer:
    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.map: mmap.mmap | None = None
        self.step = 0
        self.doing = ''
        self.is_stopping = False

    def write(self, doing: str) -> None:
        if self.map is None:
            path = status_file(self.folder, int(os.environ.get('RANK_ID') or 0))
            with path.open('w+b') as file:
                file.truncate(_SIZE)
                self.map = mmap.mmap(file.fileno(), _SIZE)
        self.doing = doing[:64]
        values = [self.step, self.doing, time.monotonic(), self.is_stopping]
        note = json.dumps(values).encode()
        self.map[:] = note[:_SIZE].ljust(_SIZE)


_writer: _Writer | None = None


def note(doing: str) -> None:
    """Note what this process does by itself from now on, such as ``'loading a batch'``."""
    writer = _get_writer()
    if writer is not None:
        writer.write(doing)


def note_together(doing: str) -> None:
    """Note that this process has come to what it does together with all others."""
    writer = _get_writer()
    if writer is not None:
        writer.step += 1
        writer.write(doing)


def note_stopping() -> None:
    """Note that a signal has asked this process to end."""
    writer = _get_writer()
    if writer is not None:
        writer.is_stopping = True
        writer.write(writer.doing)


def status_file(folder: str | Path, rank: int) -> Path:
    """Return the file of a rank's notes."""
    return Path(folder) / f'rank_{rank}'


def read_status(folder: str | Path, rank: int) -> Status | None:
    """Return a rank's last note; None when there is none, or it is being written just now."""
    try:
        return Status(*json.loads(status_file(folder, rank).read_bytes()))
    except (FileNotFoundError, ValueError):
        return None


def _get_writer() -> _Writer | None:
    global _writer
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is None:
        return None
    if _writer is None or _writer.folder != folder:
        _writer = _Writer(folder)
    return _writer
