"""Reading a file whole, or saying in a word why that is not possible."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from msseg.utils.image_file import is_whole
from msseg.utils.regular_file import check_regular

Problem = Literal['missing', 'empty', 'truncated', 'unreadable', 'setting', 'jpeg', 'mode']


class FileContent(NamedTuple):
    """A file's content, or what is wrong with it.

    Attributes:
        data: The content; empty when there is a problem.
        problem: None when there is none.
        detail: More on the problem.
    """

    data: bytes
    problem: Problem | None = None
    detail: str = ''


def read_content(path: str) -> FileContent:
    """Read a file that may be missing, unreadable, empty, no file, or without its end."""
    try:
        check_regular(path)
        data = Path(path).read_bytes()
    except FileNotFoundError:
        return FileContent(b'', 'missing', 'there is no such file')
    except (ValueError, MemoryError) as error:
        reason = str(error) or 'it is larger than memory'
        return FileContent(b'', 'unreadable', reason.removeprefix(f'{path}: '))
    except OSError as error:
        return FileContent(b'', 'unreadable', f'it cannot be read ({error.strerror})')
    if not data:
        return FileContent(b'', 'empty', 'it has 0 bytes')
    if not is_whole(data):
        return FileContent(b'', 'truncated', f'{len(data)} bytes without the end of the picture')
    return FileContent(data)


def problem_of(message: str) -> Problem:
    """Return which problem a decoder's message tells of."""
    return 'truncated' if 'truncated' in message.lower() else 'unreadable'
