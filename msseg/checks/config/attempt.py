"""Trying to build something, and noting what it says when it cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from msseg.checks.config.finding import Findings
from msseg.utils.cli import USER_ERRORS, one_line
from msseg.utils.user_code import RUN_ERRORS, describe_failure

T = TypeVar('T')


def attempt(
    findings: Findings, key: str, build: Callable[[], T], kind: str = 'refused'
) -> T | None:
    """Return what a function returns; None when it raises, which is noted.

    Args:
        findings: Where to note it.
        key: The part of the config that it is about, unless the error knows better.
        build: The function.
        kind: As what to note it.
    """
    try:
        return build()
    except USER_ERRORS as error:
        note_refusal(findings, key, error, kind)
    except RUN_ERRORS as error:
        note_refusal(findings, key, ValueError(describe_failure(error).lstrip(', :')), kind)
    return None


def note_refusal(findings: Findings, key: str, error: Exception, kind: str = 'refused') -> None:
    """Note an error, at the part below a key that it says it is about; see `attempt`."""
    told = getattr(error, 'config_path', None) or key
    where = told if told.startswith(key) else key
    findings.add(kind, where, one_line(error).removeprefix(f'{where}: '))
