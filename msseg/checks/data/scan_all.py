"""Scan files in a pool of processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msseg.checks.data.file_scan import PairScan, PairTask, scan_pair
from msseg.datasets.worker_pool import WorkerPool, num_cores
from msseg.utils.progress_bar import progress_bar

# A process takes half a second to start: fewer files than this each are not worth it.
_LEAST_EACH = 32


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
        workers = min(num_cores(), len(tasks) // _LEAST_EACH)
    results = map(scan_pair, tasks) if workers < 2 else _in_processes(tasks, workers)
    bar = progress_bar(results, len(tasks), desc='files', unit='pair')
    return dict(zip(tasks, bar, strict=True))


def _in_processes(tasks: Sequence[PairTask], workers: int) -> Iterator[PairScan]:
    pool = WorkerPool(
        scan_pair,
        workers,
        lambda task, _: task.image,
        advice='give fewer --workers: each decodes one image at a time',
    )
    try:
        yield from pool.imap(tasks)
    finally:
        pool.close()
