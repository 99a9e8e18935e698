"""Signals that ask a process to end."""

from __future__ import annotations

import _thread
import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from msseg.utils.rank_status import heard_file, note_heard
from msseg.utils.say import STDERR, say

# SIGUSR1: what schedulers are told to send some time before they end a job
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
# Seconds that loading may go on after a signal.
_PATIENCE_S = 3.0
_POLL_S = 0.2
# Reads the numbers of signals as they come, until the process handles them or ends.
_SENTINEL = """
import os, sys
pid, heard, *stops = sys.argv[1:]
came = 0
while number := os.read(0, 1):
    came += str(number[0]) in stops
    if came == 1 and heard:
        open(heard, 'w').close()
    if came == 2:
        os.kill(int(pid), 9)
"""


class LeftLoading(BaseException):
    """Raised where loading was left because a signal had come; its text starts with the signal.

    It is no Exception: a transform that goes on after any error must not go on after this one.
    """


class StopSignals:
    """Note the first signal that asks this process to end; a second one ends it at once.

    Use it as a context manager, in the main thread, to which Python hands signals; in another one
    it does nothing.

    Attributes:
        received: The first signal, None before it.

    Args:
        leaves_loading: Whether to leave loading that goes on for seconds after a signal, see
            `leave_when_stuck`. Of several processes each must load its part, or the others wait.
    """

    def __init__(self, leaves_loading: bool = True) -> None:
        self._leaves_loading = leaves_loading
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, object] = {}
        self._pid = os.getpid()
        self._loading_since: float | None = None
        self._sentinel: _Sentinel | None = None

    def __enter__(self) -> StopSignals:
        global _entered
        if _was_interrupted:  # Python drops a KeyboardInterrupt that is raised in a finaliser
            raise KeyboardInterrupt
        if threading.current_thread() is threading.main_thread():
            self._entered_before, _entered = _entered, self
            self._sentinel = _Sentinel()
            for number in STOP_SIGNALS:
                self._before[number] = signal.signal(number, self._note)
            self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._leave)
        return self

    def __exit__(self, *error: object) -> None:
        global _entered
        if not self._before:
            return
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            # None: a handler that was not set from Python
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before.clear()
        self._sentinel.close()
        _entered = self._entered_before

    def came(self) -> bool:
        """Return whether there was a signal."""
        return self.received is not None

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Let a block be left, see `leave_when_stuck`."""
        self._loading_since = time.monotonic()
        try:
            yield
        finally:
            self._loading_since = None

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:  # a process that was forked and has its own ways to end
            return
        for stop in STOP_SIGNALS:
            signal.signal(stop, signal.SIG_DFL)
        self._sentinel.close()
        if self.received is not None:
            os.kill(self._pid, number)
        self.received = signal.Signals(number)
        note_heard()
        if self._leaves_loading:
            signal.setitimer(signal.ITIMER_REAL, _PATIENCE_S, _POLL_S)
        # not by logging, which the signal may have interrupted
        start = '\n' if os.isatty(STDERR) else ''  # a progress bar has no line's end
        say(f'{start}{self.received.name}: ending soon, at once with a second one', STDERR)

    def _leave(self, number: int, frame: FrameType | None) -> None:
        since = self._loading_since
        if since is not None and time.monotonic() - since >= _PATIENCE_S:
            raise LeftLoading(f'{self.received.name} (loading did not end)')


class _Sentinel:
    """A process that ends this one for a second signal while Python cannot.

    Python's handlers wait for the main thread, which compiles a graph for minutes and holds the
    interpreter meanwhile. But the numbers of signals are written to a pipe at once.
    """

    def __init__(self) -> None:
        _forget_in_children()
        theirs, ours = os.pipe()
        os.set_blocking(ours, False)
        arguments = [
            str(os.getpid()),
            str(heard_file() or ''),
            *(str(int(n)) for n in STOP_SIGNALS),
        ]
        with open(theirs, 'rb') as numbers, stop_signals_blocked():
            self._process = subprocess.Popen(
                [sys.executable, '-I', '-S', '-c', _SENTINEL, *arguments], stdin=numbers
            )
        self._before = signal.set_wakeup_fd(ours, warn_on_full_buffer=False)

    def close(self) -> None:
        """Let Python's handlers, or the system, do without it."""
        if self._process is not None:
            os.close(signal.set_wakeup_fd(self._before))
            self._process.kill()
            self._process.wait()
            self._process = None


@functools.cache
def _forget_in_children() -> None:
    """Keep signals to processes that are forked from this one out of its pipe."""
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))


_entered: StopSignals | None = None
_was_interrupted = False  # by a SIGINT that came before the first `StopSignals` was entered


@contextmanager
def leave_when_stuck() -> Iterator[None]:
    """Let the block load a sample; leave it when it still runs some seconds after a stop signal.

    Raises:
        LeftLoading: The block was left.
    """
    is_main = threading.current_thread() is threading.main_thread()
    with _entered.loading() if _entered and is_main else contextlib.nullcontext():
        yield


@contextmanager
def stop_signals_blocked() -> Iterator[None]:
    """Keep stop signals from processes that the block starts, until they unblock them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def exit_status(stop_reason: str | None) -> int:
    """Return the exit status of a run that ended for a reason: 128 + its number for a signal."""
    name = (stop_reason or '').split(' ')[0]
    return 128 + signal.Signals[name] if name in signal.Signals.__members__ else 0


def hear_interrupts() -> None:
    """Have SIGINT reach Python's handler; call this before MindSpore is imported.

    While a graph runs, and ever after, MindSpore 2.8 answers SIGINT by sending SIGTERM to its own
    process. So the signal is blocked in all threads (those to come inherit this) and one waits for
    it. A second one is no longer blocked and ends the process.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    threading.Thread(target=_wait_for_interrupt, name='msseg-interrupts', daemon=True).start()


def _wait_for_interrupt() -> None:
    global _was_interrupted
    handler = signal.SIG_IGN
    while handler is signal.SIG_IGN:
        signal.sigwait({signal.SIGINT})
        handler = signal.getsignal(signal.SIGINT)
    if handler is not signal.SIG_DFL:
        _was_interrupted = handler is signal.default_int_handler
        _thread.interrupt_main()
        time.sleep(_POLL_S)  # until the handler has run, or waits for the main thread
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if handler is signal.SIG_DFL:
        os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait()  # or no thread would be left to take the second one


@contextmanager
def ending_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the process with a line and status 143, during imports at its start.

    Later, while the framework computes, a handler of Python's would run late: there the system
    ends the process, or see `StopSignals`.
    """
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(number: int, frame: FrameType | None) -> None:
    say('SIGTERM: ended before anything was begun', STDERR)
    os._exit(128 + number)
