"""Telling the user something that is not worth ending for."""

from __future__ import annotations

import contextlib
import os

STDOUT, STDERR = 1, 2


def say(text: str, stream: int = STDOUT) -> None:
    """Write a text and a line's end, unless nothing can be written there.

    The disk that holds the output may be full, or who read it gone; training does not end for that.
    Python's own streams keep what they could not write and fail over it when the process ends.

    Args:
        text: What to write.
        stream: The file descriptor.
    """
    rest = f'{text}\n'.encode(errors='backslashreplace')
    with contextlib.suppress(OSError):
        while rest:
            rest = rest[os.write(stream, rest) :]
