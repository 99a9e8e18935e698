"""The program that a worker process of `WorkerPool` runs."""

from __future__ import annotations

import itertools
import logging
import mmap
import os
import pickle
import queue
import signal
import struct
import threading
import time
import traceback
from collections.abc import Sequence
from logging.handlers import QueueHandler
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import cloudpickle
import cv2
import numpy as np

from msseg.utils.stop_signals import STOP_SIGNALS

# Results that a worker may have ready; the arrays of each are in a file in memory.
RESULTS_AHEAD = 2
_STATUS = struct.Struct('3d')


class WorkerTraceback(Exception):
    """Where in a worker an error arose; the cause of the error that is raised here."""


class Status(NamedTuple):
    """What a worker does, or did last.

    Attributes:
        number: Number of the task.
        position: The sample within it.
        began_s: When it began the sample, on the machine's monotonic clock; negative at rest.
    """

    number: float
    position: float
    began_s: float


class Slot:
    """A file in memory for the arrays of a result, which both processes map.

    Args:
        fd: The file's descriptor.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._map: mmap.mmap | None = None

    def bytes(self, size: int) -> np.ndarray:
        """Return the first bytes of the file, which grows to hold them."""
        if self._map is None or len(self._map) < size:
            os.truncate(self.fd, max(size, 1, os.fstat(self.fd).st_size))
            self._map = mmap.mmap(self.fd, 0)
        return np.frombuffer(self._map, np.uint8, size)

    def read(self, data: bytes, sizes: Sequence[int]) -> Any:
        """Return a result, whose pickle and sizes of arrays the worker sent, with copied arrays."""
        content = self.bytes(sum(sizes)) if sizes else b''
        ends = list(itertools.accumulate(sizes))
        parts = [content[end - size : end].copy() for size, end in zip(sizes, ends, strict=True)]
        return pickle.loads(data, buffers=parts)


class _Worker:
    """The worker's side of the connection and of the files in memory."""

    def __init__(self, connection: Connection, status_fd: int, slots: Sequence[Slot]) -> None:
        self.connection = connection
        self.status_fd = status_fd
        self.slots = slots
        self.number = self.position = -1
        self.lock = threading.Lock()

    def begin_sample(self, position: int) -> None:
        self.position = position
        self.write_status(time.monotonic())

    def write_status(self, began_s: float) -> None:
        os.pwrite(self.status_fd, _STATUS.pack(self.number, self.position, began_s), 0)

    def send(self, kind: str, data: bytes, sizes: Sequence[int] = ()) -> None:
        with self.lock:
            self.connection.send((kind, data, sizes))

    def send_result(self, result: Any) -> None:
        """Send a result: its arrays through a file in memory, the rest as a pickle."""
        buffers: list[pickle.PickleBuffer] = []
        data = cloudpickle.dumps(result, protocol=5, buffer_callback=buffers.append)
        parts = [np.asarray(buffer.raw()) for buffer in buffers]
        if parts:
            slot = self.slots[self.number % RESULTS_AHEAD]
            np.concatenate(parts, out=slot.bytes(sum(part.size for part in parts)))
        self.send('result', data, [part.size for part in parts])


class _ForwardingHandler(QueueHandler):
    """Hands log records on to the main process."""

    def enqueue(self, record: logging.LogRecord) -> None:
        self.queue.send('log', pickle.dumps(record))


_worker: _Worker | None = None


def main(connection_fd: int, setup_fd: int, status_fd: int, *slot_fds: int) -> None:
    """Serve tasks until the connection closes, as it does when the main process ends in any way.

    Args:
        connection_fd: Of the connection over which tasks come and results go.
        setup_fd: Of a file with the pickled function and logging levels.
        status_fd: Of the file for this worker's `Status`.
        slot_fds: Of the files for the arrays of results.
    """
    global _worker
    # Ctrl-C and most schedulers signal all processes of a job; the main one then finishes its
    # iteration, for which it needs its workers.
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    cv2.setNumThreads(0)
    _worker = worker = _Worker(Connection(connection_fd), status_fd, [*map(Slot, slot_fds)])
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(worker.connection, tasks), daemon=True).start()
    logging.getLogger().addHandler(_ForwardingHandler(worker))
    try:
        levels, function = pickle.loads(mmap.mmap(setup_fd, 0, access=mmap.ACCESS_READ))
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        function = pickle.loads(function)
    except BaseException as error:  # what users' modules raise while they are imported
        failure = ChildProcessError(
            f'a loader worker cannot load the data set: {type(error).__name__}: {error}; its '
            'modules must be importable from sys.path, or set workers_per_gpu=0'
        )
        worker.send('error', pack_error(failure.with_traceback(error.__traceback__)))
        threading.Event().wait()  # until the main process, which has to read this, ends it
    worker.write_status(-1.0)
    while True:
        worker.number, task = tasks.get()
        worker.begin_sample(0)
        try:
            worker.send_result(function(task))
        except BaseException as error:  # SystemExit too: it would end the worker without a word
            worker.send('error', pack_error(error))
        worker.write_status(-1.0)


def _receive(connection: Connection, tasks: queue.SimpleQueue[Any]) -> None:
    while True:
        try:
            tasks.put(connection.recv())
        except (EOFError, OSError):
            os._exit(0)


def report_sample(position: int) -> None:
    """Report, in a worker, which sample of its task begins; do nothing elsewhere."""
    if _worker is not None:
        _worker.begin_sample(position)


def pack_error(error: BaseException) -> bytes:
    """Pickle an exception and its traceback.

    One that cannot be pickled (its constructor wants more than it tells), or that would end the
    main process (SystemExit), becomes a RuntimeError with its name and message.
    """
    text = ''.join(traceback.format_exception(error))
    if isinstance(error, Exception):
        try:
            packed = cloudpickle.dumps((error, text))
            pickle.loads(packed)
            return packed
        except (pickle.PickleError, AttributeError, TypeError, ValueError, LookupError):
            pass
    return pickle.dumps((RuntimeError(f'{type(error).__name__}: {error}'), text))


def raise_packed(packed: bytes) -> None:
    """Raise an error that a worker sent, with the worker's traceback as its cause."""
    error, text = pickle.loads(packed)
    raise error from WorkerTraceback(f'in a loader worker:\n{text}')


def read_status(status_fd: int) -> Status | None:
    """Return what a worker reported last, None before it is ready."""
    content = os.pread(status_fd, _STATUS.size, 0)
    return Status(*_STATUS.unpack(content)) if content else None
