"""Text files that users write: lists of images, class names, settings."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

from msseg.utils.errors import UserValueError

_MAX_BYTES = 2**29


def read_user_text(path: str | os.PathLike, what: str) -> str:
    """Return the text of a file in UTF-8, or in UTF-16 with a byte order mark, without the mark.

    Args:
        path: The file.
        what: Leads the message, as ``"CustomDataset: split='val.txt'"``.

    Raises:
        ValueError: It has another encoding, or is not text.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise UserValueError(f'{what} is no file')  # a pipe, which may never end, or a folder
    if path.exists() and path.stat().st_size > _MAX_BYTES:
        size = f'{_MAX_BYTES // 2**20} MiB'
        raise UserValueError(f'{what} is larger than {size}, too large for a list')
    content = path.read_bytes()
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode('utf-16' if is_utf16 else 'utf-8-sig')
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b'\n') + 1
        byte = f'0x{error.object[error.start]:02x}'
        problem = f'{what} is not UTF-8 text: line {line} has the byte {byte}'
        raise UserValueError(problem, advice='save it as UTF-8') from error
    if '\0' in text:
        raise UserValueError(f'{what} is no text file: it has zero bytes')
    return text


def read_user_lines(path: str | os.PathLike, what: str) -> list[tuple[int, str]]:
    """Return a file's lines that are not blank, stripped, with their numbers from 1.

    Args:
        path: The file.
        what: See `read_user_text`.

    Raises:
        ValueError: See `read_user_text`; or all lines are blank.
    """
    lines = enumerate(read_user_text(path, what).splitlines(), 1)
    numbered = [(number, line.strip()) for number, line in lines if line.strip()]
    if not numbered:
        raise UserValueError(f'{what} is empty', expected='one name a line')
    return numbered
