"""Errors and samples as plain bytes, the one thing every worker process can send."""

from __future__ import annotations

import pickle
import traceback
from typing import Any

import numpy as np


class WorkerTraceback(Exception):
    """Where in a worker an error arose; the cause of the error that is raised here."""


def pack(value: Any) -> np.ndarray:
    """Return a value as an array of bytes."""
    return np.frombuffer(pickle.dumps(value), np.uint8)


def unpack(packed: np.ndarray) -> Any:
    """Return what `pack` was given."""
    return pickle.loads(packed.tobytes())


def pack_error(error: BaseException) -> np.ndarray:
    """Return an exception and its traceback as bytes.

    One that cannot travel (its class is local, or its constructor wants more than it tells), or
    that would end this process (SystemExit), becomes a RuntimeError with its name and message.
    """
    text = ''.join(traceback.format_exception(error))
    if isinstance(error, Exception):
        try:
            packed = pack((error, text))
            unpack(packed)
            return packed
        except (pickle.PickleError, AttributeError, TypeError, ValueError, LookupError):
            pass
    return pack((RuntimeError(f'{type(error).__name__}: {error}'), text))


def raise_packed(packed: np.ndarray) -> None:
    """Raise what `pack_error` was given, with the worker's traceback as its cause."""
    error, text = unpack(packed)
    raise error from WorkerTraceback(f'in a loader worker:\n{text}')
