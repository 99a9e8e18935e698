"""Looking at all files, in parallel."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from msseg.checks.data.file_scan import PairScan, PairTask, prepare_worker, scan_pair
from msseg.utils.progress_bar import progress_bar

# A process takes half a second to start: fewer files than this each are not worth it.
_LEAST_EACH = 32
_MOST_AT_ONCE = 16


def scan_all(tasks: Sequence[PairTask], workers: int | None = None) -> dict[PairTask, PairScan]:
    """Look at images and labels; shows a progress bar when stderr is a terminal.

    Args:
        tasks: Which files, each pair once.
        workers: Number of processes; None for as many as there are cores, fewer for few files; 0
            and 1 look in this process.

    Raises:
        ValueError: A negative number of processes.
        ChildProcessError: A process was killed.
    """
    if workers is not None and workers < 0:
        raise ValueError(f'workers={workers}; expected the number of processes, 0 or more')
    if workers is None:
        workers = min(_num_cores(), len(tasks) // _LEAST_EACH)
    results = map(scan_pair, tasks) if workers < 2 else _in_processes(tasks, workers)
    bar = progress_bar(results, len(tasks), desc='files', unit='pair')
    return dict(zip(tasks, bar, strict=True))


def _in_processes(tasks: Sequence[PairTask], workers: int) -> Iterator[PairScan]:
    chunk = max(1, min(_MOST_AT_ONCE, len(tasks) // (4 * workers)))
    executor = ProcessPoolExecutor(
        workers, multiprocessing.get_context('spawn'), initializer=prepare_worker
    )
    try:
        yield from executor.map(scan_pair, tasks, chunksize=chunk)
    except BrokenProcessPool:
        raise ChildProcessError(
            'a worker process was killed, perhaps for want of memory: each decodes one image at a '
            'time; give fewer --workers'
        ) from None
    finally:
        executor.shutdown(cancel_futures=True)


def _num_cores() -> int:
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
