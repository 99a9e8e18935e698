"""What each worker is busy with, in memory that the main process reads."""

from __future__ import annotations

import time
from collections.abc import MutableSequence
from typing import NamedTuple

# of each worker: the row, the sample within it, and when that was begun; 0 for a worker that has
# not loaded yet, negative for one at rest
SLOT = 3

_current: tuple[MutableSequence[float], int] | None = None


class BusyWorker(NamedTuple):
    """A worker that is loading, or at rest after it.

    Attributes:
        worker: Its number.
        row: The row that it loads.
        position: The sample within that row.
        seconds: How long ago it began this sample; at rest negative.
    """

    worker: int
    row: int
    position: int
    seconds: float


def begin_row(heartbeat: MutableSequence[float], worker: int, row: int) -> None:
    """Note, in a worker, that it begins a row with its first sample."""
    global _current
    _current = heartbeat, SLOT * worker
    heartbeat[SLOT * worker] = row
    note_sample(0)


def note_sample(position: int) -> None:
    """Note, in a worker, that it begins a sample of its row; elsewhere do nothing."""
    if _current is not None:
        heartbeat, slot = _current
        heartbeat[slot + 1] = position
        heartbeat[slot + 2] = time.monotonic()


def end_row() -> None:
    """Note, in a worker, that it has loaded its row."""
    global _current
    heartbeat, slot = _current
    heartbeat[slot + 2] = -1.0
    _current = None


def busy_workers(heartbeat: MutableSequence[float]) -> list[BusyWorker]:
    """Return the workers that are loading."""
    return [each for each in latest_samples(heartbeat) if each.seconds >= 0]


def latest_samples(heartbeat: MutableSequence[float]) -> list[BusyWorker]:
    """Return for each worker the sample that it loads, or has loaded last, if there is one."""
    now = time.monotonic()
    slots = [heartbeat[start : start + SLOT] for start in range(0, len(heartbeat), SLOT)]
    return [
        BusyWorker(worker, int(row), int(position), now - begun if begun > 0 else begun)
        for worker, (row, position, begun) in enumerate(slots)
        if begun != 0
    ]
