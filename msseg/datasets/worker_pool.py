"""Worker processes through mindspore.dataset."""

from __future__ import annotations

import atexit
import contextlib
import logging
import multiprocessing
import multiprocessing.util
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import cv2
import numpy as np

from msseg.datasets.row_source import NOTHING, RowSource
from msseg.datasets.transport import raise_packed
from msseg.datasets.worker_watch import WorkerWatch, undo_death_signal
from msseg.utils.logging import warn_once
from msseg.utils.stop_signals import leave_when_stuck

# With one worker MindSpore loads in a thread of this process instead of a process.
_MIN_WORKERS = 2
# Rows that each worker keeps ready: the least that MindSpore allows.
_ROWS_AHEAD = 2
# One epoch of GeneratorDataset lists all its indices in memory.
_ROWS_PER_EPOCH = 100_000
_PATIENCE_S = 2.0
# Leaves ten seconds to notice it and to end, so that a run does not stand still for a minute.
HANG_AFTER_S = 50.0


def usable_workers(workers_per_gpu: int) -> int:
    """Return how many worker processes to use in place of a wish, 0 for none.

    mindspore.dataset takes from 2 to as many as there are cores.
    """
    cores = multiprocessing.cpu_count()
    if workers_per_gpu == 0:
        return 0
    if cores < _MIN_WORKERS:
        warn_once(
            f'workers_per_gpu={workers_per_gpu}: mindspore.dataset starts no worker processes on '
            'one core, so samples are loaded in the main process'
        )
        return 0
    if workers_per_gpu > cores:
        warn_once(
            f'workers_per_gpu={workers_per_gpu}: mindspore.dataset takes no more workers than '
            f'there are cores, so {cores} are used'
        )
    return min(max(workers_per_gpu, _MIN_WORKERS), cores)


class WorkerPool:
    """Calls a function for 0, 1, 2, … in worker processes and yields its results in order.

    Iterate in the main thread: MindSpore 2.8 crashes (segmentation fault) when an error meets
    another thread that waits for its iterator.

    Args:
        load: From a row's number to its arrays, always `num_columns` of them; runs in the workers.
        num_columns: Number of arrays in a row.
        num_rows: Number of rows; None for no end.
        num_workers: Number of processes, as `usable_workers` gives it.
        describe: From a row's number and a sample's place in it to the sample, for errors.
        hang_after_s: Seconds after which a worker that is busy with one sample counts as hung.

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
        describe: Callable[[int, int], str],
        hang_after_s: float = HANG_AFTER_S,
    ) -> None:
        self._load = load
        self._num_columns = num_columns
        self._num_rows = num_rows
        self._num_workers = num_workers
        self._describe = describe
        self._hang_after_s = hang_after_s
        self._closed = False
        self._iterator: Any = None
        self._watch: WorkerWatch | None = None

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        first = 0
        while self._num_rows is None or first < self._num_rows:
            rest = _ROWS_PER_EPOCH if self._num_rows is None else self._num_rows - first
            count = min(rest, _ROWS_PER_EPOCH)
            yield from self._epoch(first, count)
            if self._closed:
                return
            first += count

    def _epoch(self, first: int, count: int) -> Iterator[tuple[np.ndarray, ...]]:
        source = RowSource(
            self._load, self._num_columns, first, count, self._num_workers, _ROWS_AHEAD
        )
        try:
            row = self._start(source)
            for remaining in range(count - 1, -1, -1):
                yield row
                if self._closed or not remaining:
                    return
                row = self._next_row()
        finally:
            self._stop()

    def _start(self, source: RowSource) -> tuple[np.ndarray, ...]:
        """Start the workers and return the first row, which is when MindSpore starts them."""
        import mindspore.dataset as ds

        threads = cv2.getNumThreads()
        prefetch, watchdog = ds.config.get_prefetch_size(), ds.config.get_enable_watchdog()
        # OpenCV's threads do not survive a fork: workers inherit a state without them.
        cv2.setNumThreads(0)
        _prepare_for_kill()
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
            self._watch = WorkerWatch(
                source, self._workers, self._end_workers, self._describe, self._hang_after_s
            )
            self._watch.start()
            row = self._next_row()
            self._watch.workers()
            undo_death_signal()
            atexit.register(self.close)  # before MindSpore's own, which takes 5 s
            return row
        finally:
            cv2.setNumThreads(threads)
            ds.config.set_prefetch_size(prefetch)
            ds.config.set_enable_watchdog(watchdog)

    def _sampler(self) -> Any:
        return getattr(getattr(self._iterator, 'dataset', None), 'sample_fn', None)

    def _workers(self) -> list[Any]:
        sampler = self._sampler()
        workers = list(getattr(sampler, 'workers', None) or [])
        if workers and not isinstance(sampler.eof, threading.Event):
            # MindSpore's own event has a lock that all processes share: a worker that is killed
            # while it looks at it keeps the lock, and this process would wait for it forever.
            sampler.eof = threading.Event()
        return workers

    def _end_workers(self) -> None:
        """Kill the workers and end MindSpore's wait for their rows."""
        workers = self._workers()
        # MindSpore waits for the process that clears up after them, forever if that is stopped
        cleaner = getattr(self._sampler(), 'cleaning_process', None)
        for process in workers if cleaner is None else [*workers, cleaner]:
            with contextlib.suppress(ValueError):  # buried already
                process.kill()  # one that waits for room in its queue takes 5 s to notice the end
        # not a row in the queue of a dead worker: that may be full, or locked by it forever
        event = getattr(self._sampler(), 'eof', None)
        if event is not None:
            event.set()

    def find_failure(self) -> Exception | None:
        """Return what is wrong with a worker, None when all are well."""
        if self._watch is None or self._iterator is None:
            return None
        return self._watch.find_failure(_PATIENCE_S)

    def _next_row(self) -> tuple[np.ndarray, ...]:
        self._watch.waiting_since = time.monotonic()
        try:
            with leave_when_stuck(self._end_workers):
                *columns, error = next(self._iterator)
        except (RuntimeError, StopIteration) as stopped:
            # errors of `load` come as rows, so this is the end of a worker
            failure = self._watch.find_failure(_PATIENCE_S)
            raise failure or ChildProcessError(f'the loader workers ended: {stopped}') from None
        finally:
            self._watch.waiting_since = None
        if error.size > NOTHING.size:
            raise_packed(error)
        return tuple(columns)

    def _stop(self) -> None:
        iterator = self._iterator
        if iterator is None:
            return
        atexit.unregister(self.close)
        self._watch.stop()
        self._end_workers()
        self._iterator = None
        iterator.stop()  # with the last reference, MindSpore buries its processes

    def close(self) -> None:
        """End the workers."""
        self._closed = True
        self._stop()


def _prepare_for_kill() -> None:
    """Let workers that are killed leave neither folders nor a warning behind."""
    # A worker that shares memory puts a socket into multiprocessing's temporary folder. Workers
    # inherit that of this process, which removes it when it ends, if there is one by then.
    multiprocessing.util.get_temp_dir()
    # MindSpore 2.8 logs a warning when the pool is closed, which is what was asked for.
    logger = logging.getLogger(f'ME.mindspore.log.{os.getpid()}')
    if _is_not_about_closing not in logger.filters:
        logger.addFilter(_is_not_about_closing)


def _is_not_about_closing(record: logging.LogRecord) -> bool:
    return 'Generator receives a termination signal' not in record.getMessage()
