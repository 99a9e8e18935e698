"""What users' programs (configs, modules of their own) fail with, as part of a message."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator

# What parts of a network, or constructors, run into with values that they do not check. Error
# classes for users' mistakes, such as ValueError, are not among these.
RUN_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    IndexError,
    MemoryError,
    NameError,
    RuntimeError,
)


@contextlib.contextmanager
def running(what: str) -> Iterator[None]:
    """Raise ValueError for what a network or a function that a config describes runs into.

    Args:
        what: Leads the message.
    """
    try:
        yield
    except RUN_ERRORS as error:
        raise ValueError(f'{what}{describe_failure(error)}') from error


def describe_failure(error: BaseException, filename: str | None = None) -> str:
    """Return ``, line 3: NameError: name 'x' is not defined`` for an error of a user's program.

    Args:
        error: What it raised; `SystemExit` and others that are no `Exception` included.
        filename: The program's file; the last of its lines that led to the error is named. None
            names the file and line where the error was raised.
    """
    frames = traceback.extract_tb(error.__traceback__)
    if filename is None:
        where = f': {frames[-1].filename}, line {frames[-1].lineno}' if frames else ''
    else:
        lines = [frame.lineno for frame in frames if frame.filename == filename]
        where = f', line {lines[-1]}' if lines else ''
    try:
        message = str(error)
    except Exception as failure:  # its __str__ is the user's, too
        message = f'(its message cannot be shown: {type(failure).__name__})'
    end = '; it must not end the program' if isinstance(error, SystemExit) else ''
    return f'{where}: {type(error).__name__}{": " if message else ""}{message}{end}'
