"""What worker processes run."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from types import FrameType

import numpy as np

from msseg.datasets.heartbeat import (
    SLOT,
    BusyWorker,
    begin_row,
    busy_workers,
    end_row,
    latest_samples,
)
from msseg.datasets.transport import pack_error

NOTHING = np.zeros(1, np.uint8)  # stands for "no error" and for the columns of a failed row

_SHARED_MEMORY = '/dev/shm'
_MIB = 2**20


class RowSource:
    """The rows `first`, `first` + 1, … as GeneratorDataset reads them, in the workers.

    A row that fails is sent as its error, in one more column; an exception that reached
    MindSpore would lose its class.

    Args:
        load: From a row's number to its arrays.
        num_columns: Number of arrays in a row.
        first: Number of the first row.
        count: Number of rows.
        num_workers: Number of worker processes.
        rows_ahead: Rows that each worker keeps ready.
    """

    def __init__(
        self,
        load: Callable[[int], Sequence[np.ndarray]],
        num_columns: int,
        first: int,
        count: int,
        num_workers: int,
        rows_ahead: int,
    ) -> None:
        self._load = load
        self._num_columns = num_columns
        self._first = first
        self._count = count
        self._num_workers = num_workers
        self._rows_ahead = rows_ahead
        self._rows_sent = 0
        # written by workers, read by the main process; see heartbeat.py
        self._heartbeat = multiprocessing.RawArray('d', SLOT * num_workers)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        _outlive_stop_signals()
        number = self._first + int(index)
        # MindSpore hands rows out in turn
        begin_row(self._heartbeat, int(index) % self._num_workers, number)
        try:
            columns = tuple(self._load(number))
            self._check_shared_memory(sum(column.nbytes for column in columns))
            return (*columns, NOTHING)
        except BaseException as error:  # SystemExit too: it would end the worker without a word
            return (*[NOTHING] * self._num_columns, pack_error(error))
        finally:
            end_row()

    def busy(self) -> list[BusyWorker]:
        """Return the workers that are loading a row."""
        return busy_workers(self._heartbeat)

    def latest(self) -> list[BusyWorker]:
        """Return for each worker the sample that it loads, or has loaded last, if there is one."""
        return latest_samples(self._heartbeat)

    def _check_shared_memory(self, row_bytes: int) -> None:
        # MindSpore makes rows_ahead + 2 segments a worker, with the first rows; writing to one
        # that does not fit kills the worker (SIGBUS)
        self._rows_sent += 1
        if self._rows_sent > self._rows_ahead + 2 or not os.path.isdir(_SHARED_MEMORY):
            return
        state = os.statvfs(_SHARED_MEMORY)
        free = state.f_bavail * state.f_frsize
        if free < row_bytes:
            raise OSError(
                f'{_SHARED_MEMORY} has {free / _MIB:.0f} MiB left, but a loader worker needs '
                f'{row_bytes / _MIB:.0f} MiB for one batch; enlarge it (docker run --shm-size=8g) '
                'or set workers_per_gpu=0'
            )


def _outlive_stop_signals() -> None:
    """Leave it to the main process to end this worker, as long as there is one.

    Ctrl-C and most schedulers signal all processes of a job. The main one then finishes its
    iteration, for which it needs its workers; MindSpore's would end at once.
    """
    if multiprocessing.parent_process() is None or signal.getsignal(signal.SIGTERM) == _end_orphan:
        return
    for number in (signal.SIGTERM, signal.SIGUSR1):  # MindSpore ignores SIGINT there
        signal.signal(number, _end_orphan)


def _end_orphan(number: int, frame: FrameType | None) -> None:
    # not is_alive(): that waits for the end of a pipe, which the other workers hold open too
    if os.getppid() != multiprocessing.parent_process().pid:
        os._exit(128 + number)
