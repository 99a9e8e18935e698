"""Errors of users' programs (configs and modules): their messages and their places."""

from __future__ import annotations

import contextlib
import os
import re
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path

from msseg.utils.errors import UserError

# The variable that names the folder of the compiler's reports.
REPORT_FOLDER = 'MS_OM_PATH'

_PACKAGE = Path(__file__).resolve().parents[1]
# Python, installed packages, and the command lines of this package.
_LIBRARIES = (
    *(
        Path(sysconfig.get_path(name)).resolve()
        for name in ('stdlib', 'purelib', 'platlib', 'scripts')
    ),
    _PACKAGE.parent / 'tools',
    _PACKAGE.parent / 'bin',  # of pip install --target
)
# Frames as MindSpore 2.8 lists them below the message of an error in a graph, and as Python does.
_IN_GRAPH = re.compile(r'^# \d+ In file (.+?):(\d+)', re.MULTILINE)
_IN_PYTHON = re.compile(r'^ *File "(.+?)", line (\d+)', re.MULTILINE)
_BELOW_MESSAGE = '\n---'
_GRAPH_MARKERS = ('- The Traceback of Net Construct Code', '- C++ Call Stack')
# Errors of networks and constructors that do not check their values; ValueError and the other
# classes for users' mistakes are not among these.
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
    """Raise ValueError, led by `what`, for the run-time errors of a config's component."""
    try:
        yield
    except RUN_ERRORS as error:
        raise ValueError(f'{what}{describe_failure(error)}') from error


def describe_failure(error: BaseException, filename: str | None = None) -> str:
    """Return ``, line 3: NameError: name 'x' is not defined`` for an error of a user's program.

    Args:
        error: The error; `SystemExit` and others that are no `Exception` included.
        filename: The program's file, whose last line in the traceback is named. None names file
            and line of the user's own code, or else of the statement that raised.
    """
    frames = traceback.extract_tb(error.__traceback__)
    message = message_of(error)
    if filename is not None:
        lines = [frame.lineno for frame in frames if frame.filename == filename]
        where = f', line {lines[-1]}' if lines else ''
    elif place := _own_place(error, message):
        where = f': {place[0]}, line {place[1]}'
    else:
        where = f': {frames[-1].filename}, line {frames[-1].lineno}' if frames else ''
    message = message.partition(_BELOW_MESSAGE)[0].strip()
    return f'{where}: {_named(error, message)}'


def message_of(error: BaseException) -> str:
    """Return an exception's message, even if its ``__str__``, which may be the user's, fails."""
    try:
        return str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as failure:  # it may raise, or end the program, as it likes
        return f'(its message cannot be shown: {type(failure).__name__})'


def describe_error(error: BaseException) -> str | None:
    """Return the message of an error of a user's code, or of the graph compiler, and its place.

    Returns:
        Such as ``"NameError: name 'x' is not defined (my_head.py, line 12)"``; None for an error
        from elsewhere, from code that this package did not call, or whose message should be shown
        as it is because a statement raised it.
    """
    if isinstance(error.__cause__, StopIteration):  # a generator makes it a RuntimeError
        error = error.__cause__
    frames = traceback.extract_tb(error.__traceback__)[1:]  # without the caller's
    if not any(Path(frame.filename).is_relative_to(_PACKAGE) for frame in frames):
        return None
    text = message_of(error)
    is_of_graph = any(marker in text for marker in _GRAPH_MARKERS)
    place = _own_place(error, text)
    if place is None:
        return _message(error, text) if is_of_graph else None
    path = Path(place[0]).resolve()
    if _is_meant(error):
        return None
    if path.is_relative_to(_PACKAGE):
        if not is_of_graph:
            return None
        if isinstance(error, (ValueError, TypeError)):  # raised there for what a user has set
            return _message(ValueError(), text)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f'{_message(error, text)} ({shown}, line {place[1]})'


def _is_meant(error: BaseException) -> bool:
    """Whether a statement raised an error for users' mistakes, rather than Python itself."""
    if isinstance(error, UserError):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    is_class_for_users = isinstance(error, (ValueError, KeyError, TypeError, OSError, ImportError))
    return is_class_for_users and bool(frames) and (frames[-1].line or '').startswith('raise ')


def _message(error: BaseException, text: str) -> str:
    message = text.partition(_BELOW_MESSAGE)[0].strip()
    # what `construct` raised
    if message != text and len(message) > 1 and message[0] == message[-1] == "'":
        message = message[1:-1]
    is_plain = type(error) is ValueError or isinstance(error, (OSError, UserError))
    return message if is_plain and message else _named(error, message)


def _named(error: BaseException, message: str) -> str:
    if isinstance(error, UserError):
        return message
    end = '; it must not end the program' if isinstance(error, SystemExit) else ''
    return f'{type(error).__name__}{": " if message else ""}{message}{end}'


def _own_place(error: BaseException, text: str) -> tuple[str, str] | None:
    """Return file and line of the innermost frame that is in no library."""
    own = [place for place in _places(error, text) if not _is_library(place[0])]
    return own[-1] if own else None


def _places(error: BaseException, text: str) -> list[tuple[str, str]]:
    """Return file and line of every frame, the innermost last."""
    if in_graph := _IN_GRAPH.findall(text):
        return in_graph
    frames = traceback.extract_tb(error.__traceback__)
    places = [(frame.filename, str(frame.lineno)) for frame in frames]
    # that of a loader worker comes as text
    places += _IN_PYTHON.findall(message_of(error.__cause__) if error.__cause__ else '')
    if places and _is_library(places[-1][0]):
        places += _reported_places(text)
    return places


def _reported_places(text: str) -> list[tuple[str, str]]:
    """Return the frames in the compiler's report on an error whose message has none."""
    for report in Path(os.environ.get(REPORT_FOLDER, os.devnull)).glob('rank_*/om/*_fail.ir'):
        content = report.read_text(encoding='utf-8', errors='replace')
        if text and text in content:
            return _IN_GRAPH.findall(content)
    return []


def _is_library(file: str) -> bool:
    path = Path(file).resolve()
    if path.is_relative_to(_PACKAGE):
        return False
    return file.startswith('<') or any(path.is_relative_to(folder) for folder in _LIBRARIES)
