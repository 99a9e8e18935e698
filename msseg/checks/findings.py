"""Findings, reports and their text, shared by the checks of configs and of data sets."""

from __future__ import annotations

import copy
import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from msseg.utils.atomic import atomic_write_text
from msseg.utils.cli import one_line
from msseg.utils.errors import UserError
from msseg.utils.outputs import Outputs

if TYPE_CHECKING:  # worker processes that scan files do not need msseg.apis
    from msseg.checks.config.settings import Setting

_MOST_FILES = 5
_MOST_PLACES = 8


class Rule(NamedTuple):
    """A kind of problem."""

    severity: Literal['error', 'warning']
    title: str  # its name in reports
    why: str  # the consequence
    todo: str  # what to do


def error(title: str, why: str, todo: str) -> Rule:
    """Return the rule of a problem with which training stops or gives wrong results."""
    return Rule('error', title, why, todo)


def warning(title: str, why: str, todo: str) -> Rule:
    """Return the rule of a problem that the user should look at."""
    return Rule('warning', title, why, todo)


class Place(NamedTuple):
    """A place with a problem."""

    key: str  # the dotted key, or the path of a file
    origin: str  # what sets the key: a file, ``--cfg-options``, ``default``; '' if unknown
    note: str  # what is wrong there; may be empty for a file

    def __str__(self) -> str:
        origin = f' ({self.origin})' if self.origin else ''
        return f'{self.key}{origin}: {self.note}' if self.note else self.key


@dataclass
class Finding:
    """A problem and all the places that have it."""

    kind: str  # the name of the rule
    severity: Literal['error', 'warning']
    title: str
    why: str
    todo: str
    splits: list[str] = field(default_factory=list)  # of the files; empty for settings
    places: dict[str, Place] = field(default_factory=dict)  # by key or path

    @property
    def files(self) -> dict[str, str]:
        """The notes by path."""
        return {path: place.note for path, place in self.places.items()}

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        where: dict[str, Any] = {'places': [place._asdict() for place in self.places.values()]}
        if self.splits:
            files = [{'path': path, 'note': note} for path, note in self.files.items()]
            where = {'splits': self.splits, 'num_files': len(files), 'files': files}
        start = {'kind': self.kind, 'severity': self.severity, 'title': self.title}
        return {**start, **where, 'why': self.why, 'todo': self.todo}

    def line(self) -> str:
        """Return one line of text, with the first place only."""
        first = next(iter(self.places.values()))
        where = f'{first.key} ({first.note})' if self.splits and first.note else first
        more = f' and {len(self.places) - 1} more' if len(self.places) > 1 else ''
        splits = ', '.join(f'data.{split}' for split in self.splits)
        title = f'{splits}: {self.title}' if splits else self.title
        return f'{title}: {where}{more}. {self.why} {self.todo}'

    def __str__(self) -> str:
        lines = [f'    {place}' for place in self.places.values()]
        most = _MOST_FILES if self.splits else _MOST_PLACES
        more = [f'    … and {len(lines) - most} more'] if len(lines) > most else []
        splits = f', in {", ".join(self.splits)}' if self.splits else ''
        head = f'{self.severity}: {self.title} ({len(lines)}{splits})'
        return '\n'.join([head, *lines[:most], *more, f'  {self.why}', f'  {self.todo}'])


class Findings:
    """A collection of findings; a place that has a problem several times is named once.

    Args:
        rules: The rules by name, in the order in which reports show them.
        blocking: See `block`.

    Examples:
        >>> findings = Findings({'empty': error('empty file', 'It stops.', 'Copy it.')})
        >>> findings.add('empty', 'a.png', '0 bytes', split='train')
        >>> findings.add('empty', 'b.png', split='val')
        >>> print(findings.sorted()[0])
        error: empty file (2, in train, val)
            a.png: 0 bytes
            b.png
          It stops.
          Copy it.
    """

    def __init__(self, rules: Mapping[str, Rule], blocking: Collection[str] = ()) -> None:
        self._rules, self._blocking = rules, blocking
        self._found: dict[tuple[str, Rule], Finding] = {}

    def add(
        self, kind: str, key: str, note: str = '', origin: str = '', split: str = '', **changes: Any
    ) -> None:
        """Add a place.

        Args:
            kind: The name of the rule.
            key: See `Place`.
            note: See `Place`.
            origin: See `Place`.
            split: The split that the file belongs to.
            **changes: ``why`` or ``todo`` that replace those of the rule, unless None.
        """
        rule = self._rules[kind]
        rule = rule._replace(**{name: text for name, text in changes.items() if text})
        finding = self._found.setdefault((kind, rule), Finding(kind, *rule))
        finding.places.setdefault(key, Place(key, origin, note))
        if split and split not in finding.splits:
            finding.splits.append(split)

    def keys(self, kinds: Collection[str] | None = None, split: str = '') -> set[str]:
        """Return the keys or paths of some or all kinds of findings, of a split if given."""
        return {
            key
            for finding in self._found.values()
            if (kinds is None or finding.kind in kinds) and (not split or split in finding.splits)
            for key in finding.places
        }

    def add_setting(self, kind: str, setting: Setting, note: str) -> None:
        """Add a setting, with what sets it."""
        self.add(kind, setting.key, note, setting.origin)

    def block(self, key: str, kinds: Collection[str] | None = None) -> bool:
        """Return whether blocking (or other) kinds of findings are at or below a dotted key."""
        places = self.keys(self._blocking if kinds is None else kinds)
        return any(place == key or place.startswith((f'{key}.', f'{key}[')) for place in places)

    def sorted(self) -> list[Finding]:
        """Return the findings: errors first, then in the order of the rules."""
        order = list(self._rules)
        findings = sorted(self._found.values(), key=lambda finding: order.index(finding.kind))
        return sorted(findings, key=lambda finding: finding.severity)


@dataclass(frozen=True)
class Report(ABC):
    """Base of the reports."""

    config: str  # the config file
    findings: Sequence[Finding]  # errors first

    @property
    def num_errors(self) -> int:
        """Number of findings that are errors."""
        return sum(finding.severity == 'error' for finding in self.findings)

    @property
    def num_warnings(self) -> int:
        """Number of findings that are warnings."""
        return len(self.findings) - self.num_errors

    @abstractmethod
    def facts(self) -> list[str]:
        """Return the paragraphs of text that follow the findings."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            'config': self.config,
            'num_errors': self.num_errors,
            'num_warnings': self.num_warnings,
            'findings': [finding.as_dict() for finding in self.findings],
        }

    def write_json(self, path: str | Path) -> None:
        """Write the report to a ``.json`` file, completely or not at all.

        Raises:
            ValueError, OSError: See `Outputs.file`.
        """
        path = Outputs([self.config]).file(path, '--json', '.json')
        atomic_write_text(path, json.dumps(self.as_dict(), indent=2, ensure_ascii=False) + '\n')


def format_report(report: Report) -> str:
    """Return a report as text: findings, facts, and a line with the number of errors."""
    end = f'{count(report.num_errors, "error")}, {count(report.num_warnings, "warning")}'
    parts = [*map(str, report.findings), *report.facts()]
    return '\n\n'.join([*parts, end if report.findings else 'nothing is wrong'])


def note_of(failure: Exception) -> str:
    """Return the message of an error without its place in the config, which findings name."""
    if isinstance(failure, UserError):
        failure = copy.copy(failure)
        failure.config_path, failure.file = None, None if failure.key else failure.file
        failure.complete()
    return one_line(failure)


def count(number: int, what: str) -> str:
    """Return ``1 image``, ``2 images``."""
    return f'{number} {what}' if number == 1 else f'{number} {what}s'
