"""What to say of a job whose processes ended badly: which rank, why, and where to read more."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from pathlib import Path

_ERROR = 'error: '
_TRACEBACK = 'Traceback (most recent call last)'
_MAX_LINES = 60
# What a process says when one that it was to exchange values with did not answer.
_LEFT_ALONE = re.compile(r'AllReduce|AllGather|Broadcast|timed out|[Cc]ollective')


@dataclass(frozen=True)
class RankEnd:
    """How a rank ended.

    Attributes:
        rank: Its number.
        pid: Its process number.
        code: Exit status; of one that was killed, minus the signal's number.
        doing: What it was doing, as it noted; None when it noted nothing.
        log: Its log file.
    """

    rank: int
    pid: int
    code: int
    doing: str | None
    log: Path


@dataclass(frozen=True)
class Report:
    """What to print.

    Attributes:
        error: One line, without ``error: ``.
        details: A traceback, when a program error ended the rank; else empty.
    """

    error: str
    details: str = ''


def describe_failure(ends: list[RankEnd]) -> Report:
    """Describe why a job failed by the rank that most likely began it.

    Args:
        ends: The ranks that ended badly, in the order in which they did.
    """
    found = [(_weight(end), index) for index, end in enumerate(ends)]
    end = ends[min(found)[1]]
    own_error = _own_error(end.log)
    while_doing = f' while {end.doing}' if end.doing else ''
    if own_error is not None:
        said_by_all = len(ends) > 1 and all(_own_error(each.log) == own_error for each in ends)
        is_known = said_by_all or end.rank == 0  # who mostly speaks for all
        return Report(own_error if is_known else f'rank {end.rank}: {own_error}')
    where = f'; its log is {end.log}'
    if end.code < 0:
        name = signal.Signals(-end.code).name
        advice = ' (the system does that when memory runs out)' if name == 'SIGKILL' else ''
        return Report(
            f'rank {end.rank} (process {end.pid}) was killed by {name}{while_doing}{advice}; the '
            f'other ranks were ended{where}'
        )
    traceback = _last_traceback(end.log)
    reason = f': {_exception_line(traceback)}' if traceback else ''
    return Report(
        f'rank {end.rank} (process {end.pid}) ended with exit status {end.code}{while_doing}'
        f'{reason}{where}',
        '\n'.join(traceback[-_MAX_LINES:]),
    )


def last_lines(log: Path, count: int) -> str:
    """Return the last lines of a log, without empty ones."""
    return '\n'.join([line for line in _lines(log) if line.strip()][-count:])


def _weight(end: RankEnd) -> int:
    """Order by how likely this end is a cause and not a consequence of another's."""
    if _own_error(end.log) is not None:
        return 0
    if end.code < 0 and -end.code != signal.SIGABRT:
        return 1
    traceback = '\n'.join(_last_traceback(end.log))
    return 3 if _LEFT_ALONE.search(traceback) else 2


def _own_error(log: Path) -> str | None:
    errors = [line for line in _lines(log) if line.startswith(_ERROR)]
    return errors[-1].removeprefix(_ERROR) if errors else None


def _last_traceback(log: Path) -> list[str]:
    lines = _lines(log)
    starts = [index for index, line in enumerate(lines) if line.startswith(_TRACEBACK)]
    return [line for line in lines[starts[-1] :] if not line.startswith('[')] if starts else []


def _exception_line(traceback: list[str]) -> str:
    """Return the line that names the exception, which text of the framework may follow."""
    for line in traceback[1:]:
        if line and not line[0].isspace():
            return line
    return traceback[-1].strip()


def _lines(log: Path) -> list[str]:
    return log.read_text(errors='replace').splitlines() if log.exists() else []
