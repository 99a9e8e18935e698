"""Notes between the processes of a job and the one that started them.

`msseg dist` gives its processes a folder; each maps one small file there into memory, so
that a note costs no disk access. Without such a folder nothing is noted.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

FOLDER_VARIABLE = 'MSSEG_RANK_STATUS'
LAUNCHER_VARIABLE = 'MSSEG_LAUNCHER_FD'
_SIZE = 512


@dataclass(frozen=True)
class Status:
    """One note.

    Attributes:
        step: How many things that all processes do together it has begun.
        doing: What it does, for messages.
        since_s: When it began that, on the machine's monotonic clock.
        patience_s: How long others may have to wait for it, by its own account; 0 for no account.
    """

    step: int
    doing: str
    since_s: float
    patience_s: float = 0.0


def note(doing: str) -> None:
    """Note what this process does by itself from now on, such as ``'loading a batch'``."""
    _write(doing, steps=0)


def note_together(doing: str) -> None:
    """Note that this process has come to what it does together with all others."""
    _write(doing, steps=1)


def ask_for_patience(seconds: float) -> None:
    """Say with all notes to come how long others may have to wait for this process."""
    global _patience_s
    _patience_s = seconds


_patience_s = 0.0
_written: tuple[str, mmap.mmap, int] | None = None  # folder, file and step


def _write(doing: str, steps: int) -> None:
    global _written
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is None:
        return
    if _written is None or _written[0] != folder:
        with status_file(folder, int(os.environ.get('RANK_ID') or 0)).open('w+b') as file:
            file.truncate(_SIZE)
            _written = folder, mmap.mmap(file.fileno(), _SIZE), 0
    _, content, step = _written
    _written = folder, content, step + steps
    status = json.dumps([step + steps, doing[:64], time.monotonic(), _patience_s]).encode()
    content[:] = status[:_SIZE].ljust(_SIZE)


def status_file(folder: str | Path, rank: int) -> Path:
    """Return the file of a rank's notes."""
    return Path(folder) / f'rank_{rank}'


def heard_file(folder: str | Path | None = None, rank: int | None = None) -> Path | None:
    """Return the file that is there once a stop signal has reached a rank, by default this one."""
    folder = folder or os.environ.get(FOLDER_VARIABLE)
    rank = os.environ.get('RANK_ID') or 0 if rank is None else rank
    return Path(folder) / f'heard_{rank}' if folder else None


def note_heard() -> None:
    """Note that a stop signal has reached this process."""
    file = heard_file()
    if file is not None:
        with contextlib.suppress(OSError):  # the launcher and its folder are gone
            file.touch()


def read_status(folder: str | Path, rank: int) -> Status | None:
    """Return a rank's last note; None when there is none, or it is being written just now."""
    try:
        return Status(*json.loads(status_file(folder, rank).read_bytes()))
    except (FileNotFoundError, ValueError):
        return None


def end_with_launcher() -> None:
    """Let this process stop, as after SIGTERM, when the one that started the job was killed.

    Otherwise the ranks of a job would go on unseen. Without a launcher nothing is done.
    """
    lifeline = os.environ.pop(LAUNCHER_VARIABLE, None)
    if lifeline is not None:
        threading.Thread(target=_wait_for_launcher, args=(int(lifeline),), daemon=True).start()


def _wait_for_launcher(lifeline: int) -> None:
    os.read(lifeline, 1)  # the launcher holds the other end of this pipe and writes nothing
    os.kill(os.getpid(), signal.SIGTERM)
