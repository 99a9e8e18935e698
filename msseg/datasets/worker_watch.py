"""A watchdog over worker processes."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

from msseg.datasets.heartbeat import BusyWorker
from msseg.datasets.row_source import RowSource

_POLL_S = 0.5
_LOOK_AGAIN_S = 0.02
# MindSpore's handler of a worker's death is undone this often while it may still be installed.
_STARTING_S = 5.0
# A gap this long between two looks: this process was stopped, and the workers with it.
_ASLEEP_S = 5.0


class WorkerWatch:
    """Notices a worker that died or hangs, and ends the main process's wait for it.

    MindSpore 2.8 goes on waiting for a worker that hangs, and when one dies it ends the main
    process by SIGTERM (exit status 143), with its own watchdog on or off. Here a thread looks
    after the workers.

    Args:
        source: The rows being loaded.
        get_workers: Gives MindSpore's worker processes, once there are some.
        end_workers: Ends the workers, and the main process's wait for their rows.
        describe: From a row's number and a sample's place in it to the sample, for errors.
        hang_after_s: Seconds with one sample after which a worker counts as hung; and seconds of
            waiting for a row that no worker has begun.
    """

    def __init__(
        self,
        source: RowSource,
        get_workers: Callable[[], list[Any]],
        end_workers: Callable[[], None],
        describe: Callable[[int, int], str],
        hang_after_s: float,
    ) -> None:
        self._source = source
        self._get_workers = get_workers
        self._end_workers = end_workers
        self._known: list[Any] = []
        self._describe = describe
        self._hang_after_s = hang_after_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name='msseg-worker-watch', daemon=True)
        self._awake_since = self._last_look = time.monotonic()
        self.failure: Exception | None = None
        self.waiting_since: float | None = None

    def start(self) -> None:
        """Start looking."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._stopped.set()
        self._thread.join()

    def find_failure(self, patience_s: float = 0.0) -> Exception | None:
        """Return what is wrong with a worker, None when all are well.

        Args:
            patience_s: How long to go on looking: a dying worker drops its connections a moment
                before it counts as dead.
        """
        deadline = time.monotonic() + patience_s
        while self.failure is None:
            self.failure = self._find_dead() or self._find_hung()
            if time.monotonic() >= deadline:
                break
            time.sleep(_LOOK_AGAIN_S)
        return self.failure

    def _watch(self) -> None:
        starting_until = time.monotonic() + _STARTING_S
        while not self._stopped.wait(
            _LOOK_AGAIN_S if time.monotonic() < starting_until else _POLL_S
        ):
            if not self.workers():
                continue
            undo_death_signal()
            if self.find_failure() is not None:
                self._end_workers()
                return

    def workers(self) -> list[Any]:
        """Return the workers, also after MindSpore forgot them."""
        self._known = self._get_workers() or self._known
        return self._known

    def _find_dead(self) -> Exception | None:
        for number, worker in enumerate(self.workers()):
            death = _death_of(worker)
            if death is not None:
                return ChildProcessError(
                    f'loader worker {worker.pid} {death} {self._doing(number)}; a worker that is '
                    'killed mostly lacked memory: use fewer workers_per_gpu or smaller batches'
                )
        return None

    def _doing(self, number: int) -> str:
        """Return what a dead worker was doing, to follow a verb."""
        for each in self._source.latest():
            if each.worker == number:
                is_busy = each.seconds >= 0
                return f'{"while" if is_busy else "after"} it loaded {self._name(each)}'
        return 'before it loaded a sample'

    def _find_hung(self) -> Exception | None:
        self._note_sleep()
        busy = self._source.busy()
        for each in busy:
            if self._is_over(each.seconds):
                return TimeoutError(
                    f'a loader worker has been busy for {each.seconds:.0f} s with '
                    f'{self._name(each)}; look for a transform or a disk that hangs, or allow '
                    'more time with data.worker_timeout'
                )
        if not busy and self.waiting_since is not None:
            seconds = time.monotonic() - self.waiting_since
            if self._is_over(seconds):
                last = ', '.join(self._name(each) for each in self._source.latest())
                loaded = f'after they loaded {last}' if last else 'and none has loaded a sample'
                return TimeoutError(
                    f'no loader worker has done anything for {seconds:.0f} s, {loaded}: they are '
                    'stopped, or a library hangs in new processes; try workers_per_gpu=0'
                )
        return None

    def _note_sleep(self) -> None:
        now = time.monotonic()
        if now - self._last_look > _ASLEEP_S:
            self._awake_since = now
        self._last_look = now

    def _is_over(self, seconds: float) -> bool:
        return min(seconds, time.monotonic() - self._awake_since) > self._hang_after_s

    def _name(self, busy: BusyWorker) -> str:
        return self._describe(busy.row, busy.position)


def _death_of(process: BaseProcess) -> str | None:
    """Return how a process ended, None if it lives; unlike `exitcode`, this leaves it a zombie.

    MindSpore 2.8 ends its stream early when it finds a worker's process number gone.
    """
    try:
        found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return f'ended with exit code {process.exitcode}'  # buried already
    if found is None:
        return None
    if found.si_code == os.CLD_EXITED:
        return f'ended with exit status {found.si_status}'
    return f'was killed by {signal.Signals(found.si_status).name}'


def undo_death_signal() -> None:
    """Undo MindSpore's SIGCHLD handler, which ends this process when a worker ends."""
    # MindSpore 2.8 installs it with the workers; only the main thread may call signal.signal, and
    # that one waits
    ctypes.CDLL(None).signal(int(signal.SIGCHLD), None)
