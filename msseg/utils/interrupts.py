"""Signals to a program before it does anything, and Ctrl-C where the framework changes it."""

from __future__ import annotations

import _thread
import ctypes
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from msseg.utils.say import STDERR, say


def hear_interrupts() -> None:
    """Have SIGINT reach Python's handler, to be called before MindSpore is imported.

    While a graph runs, and ever after, MindSpore 2.8 answers SIGINT by sending SIGTERM to its own
    process. So the signal is kept from all threads (those to come inherit this) but one that waits
    for it. After the first one the kernel ends the process with a second one.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    threading.Thread(target=_wait, name='msseg-interrupts', daemon=True).start()


def _wait() -> None:
    while True:
        signal.sigwait({signal.SIGINT})
        handler = signal.getsignal(signal.SIGINT)
        if handler is not signal.SIG_IGN:
            break
    # not signal.signal, which is for the main thread
    ctypes.CDLL(None).signal(int(signal.SIGINT), None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if handler is signal.SIG_DFL:
        os.kill(os.getpid(), signal.SIGINT)
    _thread.interrupt_main()
    threading.Event().wait()  # or no thread would be left to take the second one


@contextmanager
def ending_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the process with a line and status 143, as it does later while it trains.

    For the imports at a program's start. Later a handler of Python's would run late, while the
    framework computes; there SIGTERM ends the process as the system does it, or see `StopSignals`.
    """
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(number: int, frame: FrameType | None) -> None:
    say('SIGTERM: ended before anything was begun', STDERR)
    os._exit(128 + number)
