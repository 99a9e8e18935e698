"""Worker processes through mindspore.dataset, watched so that nothing hangs.

MindSpore 2.8 keeps waiting for a worker that hangs, and ends the whole process (SIGTERM, exit
status 143) when one is killed; so its watchdog is off here, and `WorkerPool` has its own.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.process import BaseProcess
from typing import Any

import cv2
import numpy as np

from msseg.datasets.transport import pack_error, raise_packed

Row = tuple[np.ndarray, ...]

# With one worker MindSpore loads in a thread of this process instead of a process.
MIN_WORKERS = 2
# Rows kept ready by each worker: the least that MindSpore allows.
_ROWS_AHEAD = 2
# One epoch of GeneratorDataset lists all its indices in memory.
_ROWS_PER_EPOCH = 100_000
_POLL_S = 0.2
_GIVE_UP_S = 10.0
_SHARED_MEMORY = '/dev/shm'
_MIB = 2**20
_NOTHING = np.zeros(1, np.uint8)
_END = object()


class WorkerPool:
    """Calls a function for 0, 1, 2, … in worker processes and yields its results in order.

    Args:
        load: From a row's number to its arrays, always `num_columns` of them; runs in the workers.
        num_columns: Number of arrays in a row.
        num_rows: Number of rows; None for no end.
        num_workers: Number of processes.
        describe: From a row's number to what it loads, for errors.
        hang_after_s: Seconds after which a worker that is busy with one row counts as hung.

    Raises while iterating:
        Exception: What `load` raised, of its own class.
        ChildProcessError: A worker ended.
        TimeoutError: A worker hangs.
    """

    def __init__(
        self,
        load: Callable[[int], Sequence[np.ndarray]],
        num_columns: int,
        num_rows: int | None,
        num_workers: int,
        describe: Callable[[int], str],
        hang_after_s: float = 600.0,
    ) -> None:
        self._load = load
        self._num_columns = num_columns
        self._num_rows = num_rows
        self._num_workers = max(num_workers, MIN_WORKERS)
        self._describe = describe
        self._hang_after_s = hang_after_s
        self._closed = threading.Event()
        self._iterator: Any = None
        self._processes: list[BaseProcess] = []
        self._pump: threading.Thread | None = None

    def __iter__(self) -> Iterator[Row]:
        first = 0
        while self._num_rows is None or first < self._num_rows:
            rest = _ROWS_PER_EPOCH if self._num_rows is None else self._num_rows - first
            count = min(rest, _ROWS_PER_EPOCH)
            yield from self._epoch(first, count)
            if self._closed.is_set():
                return
            first += count

    def _epoch(self, first: int, count: int) -> Iterator[Row]:
        source = _RowSource(self._load, self._num_columns, first, count, self._num_workers)
        rows: queue.Queue = queue.Queue(maxsize=1)
        self._start(source)
        self._pump = threading.Thread(target=self._move_rows, args=(rows,), daemon=True)
        self._pump.start()
        try:
            for number in range(first, first + count):
                row = self._next_row(rows, source, number)
                if row is _END:
                    return
                yield row
        except BaseException:
            self._closed.set()
            raise
        finally:
            self._stop()

    def _start(self, source: _RowSource) -> None:
        import mindspore.dataset as ds

        before = set(multiprocessing.active_children())
        threads = cv2.getNumThreads()
        prefetch, watchdog = ds.config.get_prefetch_size(), ds.config.get_enable_watchdog()
        # OpenCV's threads do not survive a fork: workers inherit a state without them.
        cv2.setNumThreads(0)
        ds.config.set_prefetch_size(_ROWS_AHEAD)
        ds.config.set_enable_watchdog(False)
        try:
            dataset = ds.GeneratorDataset(
                source,
                column_names=[f'column{i}' for i in range(self._num_columns + 1)],
                shuffle=False,
                num_parallel_workers=self._num_workers,
                python_multiprocessing=True,
            )
            self._iterator = dataset.create_tuple_iterator(num_epochs=1, output_numpy=True)
        finally:
            cv2.setNumThreads(threads)
            ds.config.set_prefetch_size(prefetch)
            ds.config.set_enable_watchdog(watchdog)
        started = set(multiprocessing.active_children()) - before
        self._processes = [p for p in started if p.name.startswith('GeneratorWorkerProcess')]

    def _next_row(self, rows: queue.Queue, source: _RowSource, number: int) -> Any:
        while not self._closed.is_set():
            try:
                row = rows.get(timeout=_POLL_S)
            except queue.Empty:
                self._check_workers(source, number)
                continue
            if isinstance(row, Exception):
                self._check_workers(source, number)
                raise row
            if row is _END:
                self._check_workers(source, number)
                return _END
            *columns, error = row
            if len(error) > len(_NOTHING):
                raise_packed(error)
            return tuple(columns)
        return _END

    def _check_workers(self, source: _RowSource, number: int) -> None:
        for process in self._processes:
            if process.exitcode is not None:
                raise ChildProcessError(
                    f'loader worker {process.pid} ended with exit code {process.exitcode} before '
                    f'it delivered {self._describe(number)}; a negative code is a signal (-9: '
                    'killed, mostly for want of memory): use fewer workers_per_gpu or smaller '
                    'batches'
                )
        for row, busy_s in source.busy():
            if busy_s > self._hang_after_s:
                raise TimeoutError(
                    f'a loader worker has been busy for {busy_s:.0f} s with '
                    f'{self._describe(row)}; look for a transform or a disk that hangs'
                )

    def _move_rows(self, rows: queue.Queue) -> None:
        """Move rows from MindSpore to a queue, in a thread: waiting there can be interrupted.

        The iterator is used and stopped in this thread only; MindSpore 2.8 crashes
        (segmentation fault) when it is stopped while another thread waits for it.
        """
        item: Any = None
        while item is not _END and not isinstance(item, Exception) and not self._closed.is_set():
            try:
                item = next(self._iterator)
            except StopIteration:
                item = _END
            except Exception as error:
                item = error
            while not self._closed.is_set():
                try:
                    rows.put(item, timeout=_POLL_S)
                    break
                except queue.Full:
                    continue
        self._iterator.stop()

    def _stop(self) -> None:
        pump, self._pump = self._pump, None
        if pump is None:
            return
        pump.join(timeout=_POLL_S)
        if pump.is_alive():
            # it waits for a worker: MindSpore gives up when its end-of-file event is set
            source = getattr(getattr(self._iterator, 'dataset', None), 'sample_fn', None)
            event = getattr(source, 'eof', None)
            if event is not None:
                event.set()
            for process in self._processes:
                process.kill()
            pump.join(timeout=_GIVE_UP_S)
        self._processes = []

    def close(self) -> None:
        """End the workers."""
        self._closed.set()
        self._stop()


class _RowSource:
    """What GeneratorDataset reads from, in the workers."""

    def __init__(
        self,
        load: Callable[[int], Sequence[np.ndarray]],
        num_columns: int,
        first: int,
        count: int,
        workers: int,
    ) -> None:
        self._load = load
        self._num_columns = num_columns
        self._first = first
        self._count = count
        self._workers = workers
        self._rows_sent = 0
        # written by workers, read by the main process: row and start of what each is busy with
        self._heartbeat = multiprocessing.RawArray('d', 2 * workers)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Row:
        number = self._first + int(index)
        slot = 2 * (int(index) % self._workers)  # MindSpore hands rows out in turn
        self._heartbeat[slot] = number
        self._heartbeat[slot + 1] = time.monotonic()
        try:
            columns = tuple(self._load(number))
            self._check_shared_memory(sum(column.nbytes for column in columns))
            return (*columns, _NOTHING)
        except Exception as error:
            return (*[_NOTHING] * self._num_columns, pack_error(error))
        finally:
            self._heartbeat[slot + 1] = 0.0

    def busy(self) -> list[tuple[int, float]]:
        """Return the rows that workers are busy with and for how many seconds."""
        now, beat = time.monotonic(), self._heartbeat
        slots = range(0, len(beat), 2)
        return [(int(beat[s]), now - beat[s + 1]) for s in slots if beat[s + 1] > 0]

    def _check_shared_memory(self, row_bytes: int) -> None:
        # MindSpore keeps _ROWS_AHEAD + 2 segments a worker; writing to one that does not fit
        # kills the worker (SIGBUS), so it is checked while they are being made
        self._rows_sent += 1
        if self._rows_sent > _ROWS_AHEAD + 2 or not os.path.isdir(_SHARED_MEMORY):
            return
        state = os.statvfs(_SHARED_MEMORY)
        free = state.f_bavail * state.f_frsize
        if free < row_bytes:
            raise OSError(
                f'{_SHARED_MEMORY} has {free / _MIB:.0f} MiB left, but a loader worker needs '
                f'{row_bytes / _MIB:.0f} MiB for one batch; enlarge it (docker run --shm-size=8g) '
                'or set workers_per_gpu=0'
            )
