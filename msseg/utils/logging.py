"""The package's logger: console on rank 0, and a log file that a full disk does not stop."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from msseg.utils.dist import get_rank
from msseg.utils.errors import UserValueError
from msseg.utils.shown import escape_controls
from msseg.utils.suggest import nearest

_FORMAT = '%(asctime)s - %(name)s - %(levelname)s - %(message)s'
_LEVELS = ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')
_FILE_ONLY = 'msseg_file_only'  # attribute of a record that the console leaves out
_SUBJECT = 'msseg_subject'  # attribute of a record that is logged once for each subject
_seen: set[str] = set()
_early: dict[str, None] = {}  # messages that wait for `setup_logging`, in their order


def get_logger() -> logging.Logger:
    """Return the ``msseg`` logger; warnings reach stderr even when nothing was set up."""
    return logging.getLogger('msseg')


def setup_logging(log_file: str | Path | None = None, level: str | int = 'INFO') -> logging.Logger:
    """Send the package's messages to the console and, if given, to a file.

    Args:
        log_file: Path of the text log; None writes to the console only.
        level: Name or number of the level, such as ``'INFO'``.

    Returns:
        The logger. Ranks other than 0 report errors only.

    Raises:
        ValueError: An unknown level.
    """
    check_level(level)
    logger = get_logger()
    close_logging()
    handlers: list[logging.Handler] = [Console()]
    if log_file is not None and get_rank() == 0:
        handlers.append(PatientFileHandler(log_file))
    for handler in handlers:
        handler.setFormatter(_Formatter(_FORMAT))
        logger.addHandler(handler)
    logger.setLevel(level if get_rank() == 0 else logging.ERROR)
    logger.propagate = False
    for message in _early:
        logger.info(message)
    _early.clear()
    return logger


def log_early(message: str) -> None:
    """Log what is found before `setup_logging` can be called, at the latest by that call."""
    logger = get_logger()
    if logger.isEnabledFor(logging.INFO):
        logger.info(message)
    else:
        _early[message] = None


def check_level(level: str | int) -> None:
    """Raise ValueError unless a level is the name or the number of one."""
    numbers = [getattr(logging, name) for name in _LEVELS]
    if isinstance(level, bool) or level not in (*_LEVELS, *numbers):
        expected = f'one of {list(_LEVELS)}, or {numbers}'
        near = nearest(str(level), _LEVELS, 1)
        raise UserValueError(key='log_level', got=level, expected=expected, suggestions=near)


def close_logging() -> None:
    """Undo `setup_logging`: close the file and forget the handlers."""
    logger = get_logger()
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.propagate = True


def log_to_file(message: str, *args: object) -> None:
    """Log a message to the log file alone, because it is too long for the console."""
    get_logger().info(message, *args, extra={_FILE_ONLY: True})


def warn_once(message: str | Callable[[], str], subject: str | None = None) -> None:
    """Log a warning, unless this process or one of its workers has logged one on its subject.

    Args:
        message: The warning, or what makes it when it is needed.
        subject: What it is about; None for the message itself.
    """
    subject = str(message) if subject is None else subject
    if is_first(subject):
        text = message if isinstance(message, str) else message()
        get_logger().warning('%s', text, extra={_SUBJECT: subject})


def is_first(subject: str) -> bool:
    """Whether this process calls this for the first time with this text."""
    is_new = subject not in _seen
    _seen.add(subject)
    return is_new


def handle_record(record: logging.LogRecord) -> None:
    """Log a record that a worker process sent."""
    subject = getattr(record, _SUBJECT, None)
    if subject is None or is_first(subject):
        logging.getLogger(record.name).handle(record)


class _Formatter(logging.Formatter):
    """Escape controls of terminals, which names of files and errors may hold."""

    def format(self, record: logging.LogRecord) -> str:
        return escape_controls(super().format(record))


class Console(logging.StreamHandler):
    """Write to standard output, above progress bars; lines are lost while its disk is full."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, unless it is for the log file only."""
        if not getattr(record, _FILE_ONLY, False):
            with tqdm.external_write_mode(self.stream):
                super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Ignore an OSError of `emit`."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


class PatientFile:
    """Append to a file; while it cannot be written, report that once and lose the content.

    Args:
        path: The file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self._is_failing = False

    def append(self, content: str | bytes) -> None:
        """Append all of it or nothing."""
        if isinstance(content, str):
            content = content.encode(errors='backslashreplace')
        try:
            _append(self.path, content)
        except OSError as error:
            was_failing, self._is_failing = self._is_failing, True
            if not was_failing:
                reason = error.strerror or error
                text = 'log %s cannot be written (%s): its next lines are lost'
                get_logger().error(text, self.path, reason)
        else:
            self._is_failing = False


class PatientFileHandler(logging.Handler):
    """Append lines to a `PatientFile`; OSError if it cannot be opened at first."""

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self._file = PatientFile(path)
        self._file.path.open('ab').close()

    def emit(self, record: logging.LogRecord) -> None:
        """Append a line."""
        try:
            line = self.format(record)
        except (TypeError, ValueError, KeyError):  # arguments that do not fit the message
            self.handleError(record)
        else:
            self._file.append(f'{line}\n')


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
