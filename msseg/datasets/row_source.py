"""What worker processes run."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence

import numpy as np

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
        # written by workers, read by the main process: row and start of what each is busy with
        self._heartbeat = multiprocessing.RawArray('d', 2 * num_workers)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        number = self._first + int(index)
        slot = 2 * (int(index) % self._num_workers)  # MindSpore hands rows out in turn
        self._heartbeat[slot] = number
        self._heartbeat[slot + 1] = time.monotonic()
        try:
            columns = tuple(self._load(number))
            self._check_shared_memory(sum(column.nbytes for column in columns))
            return (*columns, NOTHING)
        except BaseException as error:  # SystemExit too: it would end the worker without a word
            return (*[NOTHING] * self._num_columns, pack_error(error))
        finally:
            self._heartbeat[slot + 1] = 0.0

    def busy(self) -> list[tuple[int, int, float]]:
        """Return worker, row and seconds for each worker that is loading a row."""
        now, beat = time.monotonic(), self._heartbeat
        return [
            (worker, int(beat[2 * worker]), now - beat[2 * worker + 1])
            for worker in range(self._num_workers)
            if beat[2 * worker + 1] > 0
        ]

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
