"""Signals that ask a process to end."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from types import FrameType

from msseg.utils.rank_status import note_stopping
from msseg.utils.say import STDERR, say

# SIGUSR1: what schedulers are told to send some time before they end a job
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class StopSignals:
    """Notes the first signal that asks this process to end; a second one ends it at once.

    To be entered as a context. In a thread that is not the main one it changes nothing, for Python
    hands signals to the main thread.

    Attributes:
        received: The first signal, None when there was none.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, object] = {}
        self._pid = os.getpid()

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                self._before[number] = signal.signal(number, self._note)
                _reset_when_received(number)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            # None: a handler that was not set from Python
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before.clear()

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
        say(f'{self.received.name}: ending soon, at once with a second one', STDERR)


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
