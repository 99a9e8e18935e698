"""Signals that ask a process to end."""

from __future__ import annotations

import ctypes
import functools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from msseg.utils.rank_status import note_stopping
from msseg.utils.say import STDERR, say

# SIGUSR1: what schedulers are told to send some time before they end a job
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
# Seconds that loading may go on after a signal.
_PATIENCE_S = 3.0
_POLL_S = 0.2


class LeftLoading(BaseException):
    """Raised where loading was left because a signal had come; its text starts with the signal.

    It is no Exception: a transform that goes on after any error must not go on after this one.
    """


@dataclass
class _Block:
    """A block of `leave_when_stuck`: since when, what ends its wait, and why it was left."""

    since_s: float
    unblock: Callable[[], None] | None
    reason: str | None = None


class StopSignals:
    """Notes the first signal that asks this process to end; a second one ends it at once.

    To be entered as a context. A signal that comes while a sample is loaded lets this go on for
    some seconds only, see `leave_when_stuck`. In a thread that is not the main one it changes
    nothing, for Python hands signals to the main thread.

    Attributes:
        received: The first signal, None when there was none.

    Args:
        leaves_loading: Whether to leave loading that goes on for long after a signal. Of several
            processes each has to load its part, or the others would wait for it.
    """

    def __init__(self, leaves_loading: bool = True) -> None:
        self._leaves_loading = leaves_loading
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, object] = {}
        self._pid = os.getpid()
        self.block: _Block | None = None
        self._ended = threading.Event()

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            self._watch_for_signals()
            for number in STOP_SIGNALS:
                self._before[number] = signal.signal(number, self._note)
                _reset_when_received(number)
        return self

    def __exit__(self, *error: object) -> None:
        global _entered
        if not self._before:
            return
        self._ended.set()
        for number, handler in self._before.items():
            # None: a handler that was not set from Python
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before.clear()
        _entered = self._entered_before
        os.close(signal.set_wakeup_fd(self._wakeup_before))

    def came(self) -> bool:
        """Return whether there was a signal."""
        return self.received is not None

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:  # a process that was forked and has its own ways to end
            return
        for stop in STOP_SIGNALS:
            signal.signal(stop, signal.SIG_DFL)
        if self.received is not None:
            os.kill(self._pid, number)
        self.received = signal.Signals(number)
        note_stopping()
        # not by logging: the signal may have come in the midst of it
        start = '\n' if os.isatty(STDERR) else ''  # a progress bar has no line's end
        say(f'{start}{self.received.name}: ending soon, at once with a second one', STDERR)

    def _watch_for_signals(self) -> None:
        """Let a thread hear of signals at once: handlers of Python's wait for the main thread."""
        global _entered
        _forget_in_children()
        self._entered_before, _entered = _entered, self
        self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._leave)
        heard, written = os.pipe()
        os.set_blocking(written, False)
        self._wakeup_before = signal.set_wakeup_fd(written, warn_on_full_buffer=False)
        threading.Thread(
            target=self._watch, args=(heard,), name='msseg-stop-signals', daemon=True
        ).start()

    def _watch(self, heard: int) -> None:
        # open until the end: SIGALRM is written there, too
        with open(heard, 'rb', buffering=0) as numbers:
            number = 0
            while number not in STOP_SIGNALS:
                byte = numbers.read(1)
                if not byte:
                    return
                number = byte[0]
            self._leave_when_stuck(signal.Signals(number).name, time.monotonic())

    def _leave_when_stuck(self, name: str, came_s: float) -> None:
        while self._leaves_loading and not self._ended.wait(_POLL_S):
            block = self.block
            if block is None or time.monotonic() - max(block.since_s, came_s) < _PATIENCE_S:
                continue
            is_first, block.reason = block.reason is None, f'{name} (loading did not end)'
            if block.unblock is None:
                signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM)
            elif is_first:
                block.unblock()
        self._ended.wait()

    def _leave(self, number: int, frame: FrameType | None) -> None:
        if self.block is not None and self.block.reason is not None:
            raise LeftLoading(self.block.reason)


_entered: StopSignals | None = None


@contextmanager
def leave_when_stuck(unblock: Callable[[], None] | None = None) -> Iterator[None]:
    """Let the block load a sample, which ends when a stop signal came some seconds ago.

    Args:
        unblock: Makes a wait in C++ fail, where no signal reaches Python; called in a thread.

    Raises:
        LeftLoading: The block was left.
    """
    signals = _entered
    if signals is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    signals.block = block = _Block(time.monotonic(), unblock)
    try:
        yield
    except Exception:
        if block.reason is None:
            raise
        raise LeftLoading(block.reason) from None
    finally:
        signals.block = None


@functools.cache
def _forget_in_children() -> None:
    """Keep signals to processes that are forked from this one from being heard here."""
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))


def exit_status(stop_reason: str | None) -> int:
    """Return the exit status of a run that ended for a reason: 128 + its number for a signal."""
    name = (stop_reason or '').split(' ')[0]
    return 128 + signal.Signals[name] if name in signal.Signals.__members__ else 0


def _reset_when_received(number: int) -> None:
    """Make the kernel undo a signal's handler when it calls it.

    A handler of Python's runs when the main thread is back in Python, which takes minutes while a
    graph is compiled. So a second signal would come to nothing until then.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, 'sysv_signal'):  # only in glibc
        return
    for function in (libc.signal, libc.sysv_signal):
        function.argtypes, function.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    libc.sysv_signal(number, libc.signal(number, signal.SIG_DFL))
