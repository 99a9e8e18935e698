"""The package's logger: console on rank 0, and a file per run."""

from __future__ import annotations

import logging
import mmap
import zlib
from pathlib import Path

from msseg.utils.dist import get_rank
from msseg.utils.log_file import FILE_ONLY, Console, PatientFileHandler
from msseg.utils.shown import escape_controls
from msseg.utils.suggest import did_you_mean

_FORMAT = '%(asctime)s - %(name)s - %(levelname)s - %(message)s'
_LEVELS = ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')
_warned: set[str] = set()
# Shared with the worker processes that are forked from this one.
_said = mmap.mmap(-1, 1 << 16)


class _Formatter(logging.Formatter):
    """Messages hold names of files and errors, which must not control a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return escape_controls(super().format(record))


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
        ValueError: An unknown name of a level.
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
    return logger


def check_level(level: str | int) -> None:
    """Raise ValueError for what is neither the name nor the number of a level."""
    numbers = [getattr(logging, name) for name in _LEVELS]
    if isinstance(level, bool) or level not in (*_LEVELS, *numbers):
        raise ValueError(
            f'log_level is {level!r}, expected one of {list(_LEVELS)}, or {numbers}.'
            f'{did_you_mean(str(level), _LEVELS)}'
        )


def close_logging() -> None:
    """Undo `setup_logging`: close the file and forget the handlers."""
    logger = get_logger()
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.propagate = True


def log_to_file(message: str, *args: object) -> None:
    """Log a message that is too long for the console: it goes to the log file alone."""
    get_logger().info(message, *args, extra={FILE_ONLY: True})


def warn_once(message: str) -> None:
    """Log a warning the first time it is said in this process."""
    if message not in _warned:
        _warned.add(message)
        get_logger().warning(message)


def is_first(about: str) -> bool:
    """Return whether this process and its workers are asked about something for the first time."""
    place = zlib.crc32(about.encode()) % len(_said)
    is_new, _said[place] = not _said[place], 1
    return is_new
