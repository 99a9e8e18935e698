"""Something that one process of a machine does while the job's others wait for it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import psutil

from msseg.utils.atomic import atomic_write_text
from msseg.utils.folder_lock import hold_file


def once_per_machine(folder: str | Path, action: Callable[[], None]) -> bool:
    """Run an action in the first process that comes here; make the others wait until it is done.

    The first one holds a lock of the kernel's, which ends with its process, and notes when it is
    done. The note counts as long as that process lives, which it does while its job runs: what an
    earlier job left holds nobody up and lets nobody pass. When the action fails, the next process
    tries it.

    Args:
        folder: A folder of this machine's own, which the job's processes share; it is made.
        action: What to do.

    Returns:
        Whether this process did it.

    Raises:
        Exception: What the action raised.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / '.done-by'
    with hold_file(folder / '.lock'):
        if _is_done(note):
            return False
        action()
        own = psutil.Process()
        atomic_write_text(note, json.dumps({'pid': own.pid, 'started': own.create_time()}))
        return True


def _is_done(note: Path) -> bool:
    """Whether another process that still runs has written the note."""
    if not note.is_file():
        return False
    try:
        by = json.loads(note.read_text())
        started = psutil.Process(by['pid']).create_time()
    except (ValueError, psutil.NoSuchProcess):
        return False
    # Process numbers are used again; starting times tell them apart.
    return by['pid'] != os.getpid() and abs(started - by['started']) < 1e-3
