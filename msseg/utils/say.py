"""Output that must not end the program."""

from __future__ import annotations

import contextlib
import os

STDOUT, STDERR = 1, 2


def say(text: str, stream: int = STDOUT) -> None:
    """Write a line to a file descriptor, unless nothing can be written there.

    The disk that holds the output may be full, or its reader gone; training does not end for that.
    Python's own streams keep what they could not write and fail over it when the process ends.
    """
    rest = f'{text}\n'.encode(errors='backslashreplace')
    with contextlib.suppress(OSError):
        while rest:
            rest = rest[os.write(stream, rest) :]
