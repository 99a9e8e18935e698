"""Log files whose disk may fail: lines are lost, the program is not."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
from pathlib import Path

from tqdm import tqdm

# attribute of a record that the console leaves out
FILE_ONLY = 'msseg_file_only'


class PatientFileHandler(logging.FileHandler):
    """Appends to a file; while it cannot be written, says so once and loses the lines.

    Args:
        path: The file; raises OSError when it cannot be opened at first.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path, encoding='utf-8', errors='backslashreplace')
        self._error: OSError | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; after a failure, with the file opened anew."""
        before, self._error = self._error, None
        try:
            self.stream = self.stream or self._open()
            super().emit(record)
        except OSError as error:
            self._error = error
        if self._error is not None:
            self._let_go()
            if before is None:
                report_lost(self.baseFilename, self._error)

    def handleError(self, record: logging.LogRecord) -> None:
        """Called by `emit` when a line was not written."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self._error = error
        else:
            super().handleError(record)

    def close(self) -> None:
        """Close the file; what it could not take is lost."""
        self._let_go()
        super().close()

    def _let_go(self) -> None:
        stream, self.stream = self.stream, None
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


class Console(logging.StreamHandler):
    """Writes to standard output, above progress bars; when its disk is full, lines are lost."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, unless it is for the log file only."""
        if not getattr(record, FILE_ONLY, False):
            with tqdm.external_write_mode(self.stream):
                super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Called by `emit` when a line was not written."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


class PatientFile:
    """Appends to a file; while it cannot be written, says so once and loses what comes.

    Args:
        path: The file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._is_failing = False

    def append(self, content: str | bytes) -> None:
        """Append all of it or nothing."""
        try:
            _append(self.path, content.encode() if isinstance(content, str) else content)
        except OSError as error:
            if not self._is_failing:
                report_lost(self.path, error)
            self._is_failing = True
        else:
            self._is_failing = False


def report_lost(path: str | Path, error: OSError) -> None:
    """Log that a log cannot be written."""
    logging.getLogger('msseg').error(
        'log %s cannot be written (%s): what would go there is lost until it can',
        path,
        error.strerror or error,
    )


def _append(path: Path, content: bytes) -> None:
    with path.open('ab', buffering=0) as file:
        size = file.tell()
        try:
            if file.write(content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with contextlib.suppress(OSError):
                file.truncate(size)
            raise
