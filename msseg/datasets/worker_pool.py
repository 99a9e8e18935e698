"""A pool of worker processes that compute results in order."""

from __future__ import annotations

import contextlib
import io
import logging
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import CodeType
from typing import Any

import cloudpickle

from msseg.datasets.worker_process import RESULTS_AHEAD, Slot, raise_packed, read_status
from msseg.utils.logging import handle_record, warn_once
from msseg.utils.stop_signals import leave_when_stuck, stop_signals_blocked

# Leaves ten seconds to notice it and to end, so that a run does not stand still for a minute.
WORKER_TIMEOUT_S = 50.0
# For imports, which may be those of the framework, on a busy machine.
_START_TIMEOUT_S = 120.0
_END_TIMEOUT_S = 5.0
_POLL_S = 0.5
# A gap this long between two looks: this process was stopped, and the workers with it.
_ASLEEP_S = 5.0
_PROGRAM = (
    'import sys; sys.path[:] = {path!r}; from msseg.datasets.worker_process import main; '
    'main(*{fds!r})'
)
# Workers share the cores already.
_ONE_THREAD = dict.fromkeys(('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'), '1')
_END = object()


def num_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def usable_workers(workers_per_gpu: int) -> int:
    """Return the number of worker processes to use: at most one for each core."""
    cores = num_cores()
    if workers_per_gpu > cores:
        warn_once(
            f'workers_per_gpu={workers_per_gpu} is more than the {cores} cores that this process '
            f'may use, so {cores} are used'
        )
    return min(workers_per_gpu, cores)


class WorkerPool:
    """Apply a function to tasks in worker processes and yield the results in order.

    Workers are new Python processes rather than forks, since threads of MindSpore, OpenCV and
    device drivers do not survive a fork. The function reaches them through cloudpickle, so that
    lambdas and classes of a script can be part of it; arrays come back through files in memory.
    Workers stay between calls of `imap` and end with this process, however that ends.

    Args:
        function: From a task to its result.
        num_workers: Number of processes; 0 calls the function in this process.
        describe: From a task and a sample's place in it to the sample, for errors.
        timeout_s: Seconds after which a worker that is busy with one sample counts as hung.
        advice: What to do about a worker that was killed, for errors.

    Examples:
        >>> pool = WorkerPool(lambda task: task**2, num_workers=2, describe=str)
        >>> list(pool.imap([1, 2, 3]))
        [1, 4, 9]
        >>> pool.close()
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        num_workers: int,
        describe: Callable[[Any, int], str],
        timeout_s: float = WORKER_TIMEOUT_S,
        advice: str = 'use fewer workers_per_gpu or smaller batches',
    ) -> None:
        self._function = function
        self._num_workers = num_workers
        self._describe = describe
        self._timeout_s = timeout_s
        self._advice = advice
        self._thread = ThreadPoolExecutor(1, 'msseg-workers')
        self._next: Future | None = None
        self._workers: list[_Worker] = []
        weakref.finalize(self, _end, self._workers)  # also when the program ends

    def imap(self, tasks: Iterable[Any]) -> Iterator[Any]:
        """Yield the results of tasks, which may be endless, in their order.

        A thread receives results one step ahead. A caller that leaves early ends the workers;
        they start again with the next call.

        Raises:
            Exception: What the function raised, of its own class.
            ChildProcessError: A worker ended.
            TimeoutError: A worker hangs.
            ValueError: The function cannot be sent to other processes.
        """
        if self._num_workers == 0:
            for task in tasks:
                with leave_when_stuck():
                    result = self._function(task)
                yield result
            return
        if not self._workers:
            self._start()
        workers = list(self._workers)
        results = self._receive_all(workers, iter(tasks))
        result = None
        try:
            self._next = self._thread.submit(next, results, _END)
            while workers[0] in self._workers:  # otherwise the pool was closed
                with leave_when_stuck():
                    result = self._next.result()
                if result is _END:
                    return
                self._next = self._thread.submit(next, results, _END)
                yield result
        except ChildProcessError:
            if workers[0] in self._workers:
                raise
        finally:
            if result is not _END:
                self.close()

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.process.kill()
        if self._next is not None:
            wait([self._next])
        _end(self._workers)

    def _start(self) -> None:
        levels = {name: logging.getLogger(name).level for name in ('', 'msseg')}
        setup = pickle.dumps((levels, _pickle(self._function)))
        with open(_file_in_memory(), 'wb') as file:
            file.write(setup)
            file.flush()
            for _ in range(self._num_workers):
                self._workers.append(_Worker(file.fileno()))

    def _receive_all(self, workers: list[_Worker], tasks: Iterator[Any]) -> Iterator[Any]:
        order = deque(worker for worker in workers * RESULTS_AHEAD if worker.send_next(tasks))
        while order:
            worker = order.popleft()
            result = self._receive(worker)
            if worker.send_next(tasks):
                order.append(worker)
            yield result

    def _receive(self, worker: _Worker) -> Any:
        since = last_look = time.monotonic()
        while True:
            while not worker.connection.poll(_POLL_S):
                now = time.monotonic()
                since = now if now - last_look > _ASLEEP_S else since
                last_look = now
                self._check_progress(worker, since, now)
            try:
                kind, data, sizes = worker.connection.recv()
            except (EOFError, OSError):
                raise self._death(worker) from None
            if kind == 'log':
                handle_record(pickle.loads(data))
            elif kind == 'error':
                raise_packed(data)
            else:
                return worker.take(data, sizes)

    def _check_progress(self, worker: _Worker, since: float, now: float) -> None:
        """Raise TimeoutError for a worker that has kept this process waiting for too long."""
        status = read_status(worker.status_fd)
        began_s = status.began_s if status else -1.0
        elapsed_s = now - max(began_s, since)
        limit_s = self._timeout_s if status else max(self._timeout_s, _START_TIMEOUT_S)
        if elapsed_s <= limit_s:
            return
        if began_s >= 0:
            raise TimeoutError(
                f'a loader worker has been busy for {elapsed_s:.0f} s with '
                f'{self._sample(worker)}; look for a transform or a disk that hangs, or allow more '
                'time with data.worker_timeout'
            )
        raise TimeoutError(
            f'a loader worker has not done anything for {elapsed_s:.0f} s, {self._doing(worker)}: '
            'it is stopped, or a library hangs in it; try workers_per_gpu=0'
        )

    def _death(self, worker: _Worker) -> ChildProcessError:
        return ChildProcessError(
            f'loader worker {worker.process.pid} {worker.wait()} {self._doing(worker)}; a worker '
            f'that is killed mostly lacked memory: {self._advice}'
        )

    def _doing(self, worker: _Worker) -> str:
        sample = self._sample(worker)
        if sample is None:
            return 'before it loaded a sample'
        is_busy = read_status(worker.status_fd).began_s >= 0
        return f'{"while" if is_busy else "after"} it loaded {sample}'

    def _sample(self, worker: _Worker) -> str | None:
        """Return the sample that a worker loads, or has loaded last."""
        status = read_status(worker.status_fd)
        for number, task in worker.tasks:
            if status and number == status.number:
                return self._describe(task, int(status.position))
        return None


class _Worker:
    """A worker process as the main process sees it."""

    def __init__(self, setup_fd: int) -> None:
        self.connection, theirs = multiprocessing.Pipe()
        self.status_fd = _file_in_memory()
        self.slots = [Slot(_file_in_memory()) for _ in range(RESULTS_AHEAD)]
        self.tasks: deque[tuple[int, Any]] = deque(maxlen=RESULTS_AHEAD + 1)  # the last ones sent
        self.num_sent = self.num_taken = 0
        fds = [theirs.fileno(), setup_fd, self.status_fd, *(slot.fd for slot in self.slots)]
        with theirs, stop_signals_blocked():
            self.process = subprocess.Popen(
                [sys.executable, '-u', '-c', _PROGRAM.format(path=sys.path, fds=fds)],
                env={**os.environ, **_ONE_THREAD},
                stdin=subprocess.DEVNULL,
                pass_fds=fds,
            )

    def send_next(self, tasks: Iterator[Any]) -> bool:
        """Send the next task; return whether there was one."""
        for task in tasks:
            self.tasks.append((self.num_sent, task))
            with contextlib.suppress(OSError):  # the worker ended, which receiving will tell
                self.connection.send((self.num_sent, task))
            self.num_sent += 1
            return True
        return False

    def take(self, data: bytes, sizes: Sequence[int]) -> Any:
        """Return the result that this worker sent."""
        slot = self.slots[self.num_taken % RESULTS_AHEAD]
        self.num_taken += 1
        return slot.read(data, sizes)

    def wait(self) -> str:
        """Wait for the end of the process and return how it ended."""
        try:
            code = self.process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return 'closed its connection'
        if code < 0:
            return f'was killed by {signal.Signals(-code).name}'
        return f'ended with exit status {code}'


def _end(workers: list[_Worker]) -> None:
    """Kill workers and free what they had."""
    for worker in workers:
        worker.process.kill()
    for worker in workers:
        worker.process.wait()
        worker.connection.close()
        for fd in (worker.status_fd, *(slot.fd for slot in worker.slots)):
            os.close(fd)
    workers.clear()


def _file_in_memory() -> int:
    """Return the descriptor of a new file without a name, which nothing can leave behind."""
    if hasattr(os, 'memfd_create'):  # Linux; unlike /dev/shm not short of room in containers
        return os.memfd_create('msseg-worker')
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class _Pickler(cloudpickle.Pickler):
    """Keeps the files of a script's functions, which cloudpickle 3.1 forgets, for tracebacks."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, CodeType):
            make, arguments = self.dispatch_table[CodeType](obj)
            return _make_code, (obj.co_filename, make, arguments)
        return super().reducer_override(obj)


def _make_code(filename: str, make: Callable[..., CodeType], arguments: tuple) -> CodeType:
    return make(*arguments).replace(co_filename=filename)


def _pickle(function: Callable[[Any], Any]) -> bytes:
    file = io.BytesIO()
    try:
        _Pickler(file).dump(function)
    except (pickle.PicklingError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(
            f'the data set or one of its transforms cannot be sent to loader workers: {error}; '
            'open files and create locks when the first sample is loaded, or set workers_per_gpu=0'
        ) from error
    return file.getvalue()
