"""What the doctors of data sets and of configs have in common: kinds of findings, and reports."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple, TypeVar

from msseg.utils.atomic import atomic_write_text
from msseg.utils.outputs import Outputs

Severity = Literal['error', 'warning']


class Kind(NamedTuple):
    """A kind of finding.

    Attributes:
        severity: ``error`` where something stops, or something wrong is learnt or measured,
            ``warning`` where a look is worth it.
        title: What it is called.
        why: What comes of it.
        todo: What to do about it.
    """

    severity: Severity
    title: str
    why: str
    todo: str


@dataclass
class FindingOfKind(ABC):
    """Base of findings.

    Attributes:
        kinds: All that there are, in the order in which they are shown.
        kind: A key of them.
        why: What comes of it.
        todo: What to do about it.
    """

    kinds: ClassVar[Mapping[str, Kind]]
    kind: str
    why: str
    todo: str

    @property
    def severity(self) -> Severity:
        """``error`` or ``warning``."""
        return self.kinds[self.kind].severity

    @property
    def title(self) -> str:
        """What it is called."""
        return self.kinds[self.kind].title

    @abstractmethod
    def where(self) -> dict:
        """Return where it was found, as plain values."""

    def as_dict(self) -> dict:
        """Return it as plain values."""
        return {
            'kind': self.kind,
            'severity': self.severity,
            'title': self.title,
            **self.where(),
            'why': self.why,
            'todo': self.todo,
        }


AnyFinding = TypeVar('AnyFinding', bound=FindingOfKind)


def errors_first(findings: Iterable[AnyFinding]) -> list[AnyFinding]:
    """Sort findings: errors, then warnings, each in the order of their kinds."""
    return sorted(findings, key=lambda f: (f.severity != 'error', list(f.kinds).index(f.kind)))


@dataclass(frozen=True)
class Report:
    """Base of what a doctor tells.

    Attributes:
        config: The config's file.
        findings: Errors first.
    """

    config: str
    findings: Sequence[FindingOfKind]

    @property
    def num_errors(self) -> int:
        """Number of findings that are errors."""
        return sum(finding.severity == 'error' for finding in self.findings)

    @property
    def num_warnings(self) -> int:
        """Number of findings that are warnings."""
        return len(self.findings) - self.num_errors

    def as_dict(self) -> dict:
        """Return it as plain values, for JSON."""
        return {
            'config': self.config,
            'num_errors': self.num_errors,
            'num_warnings': self.num_warnings,
            'findings': [finding.as_dict() for finding in self.findings],
        }

    def write_json(self, path: str | Path) -> None:
        """Write it to a file, whole or not at all; never over the config or what is no JSON file.

        Raises:
            ValueError, OSError: See `Outputs.file`.
        """
        path = Outputs([self.config]).file(path, '--json', '.json')
        atomic_write_text(path, json.dumps(self.as_dict(), indent=2, ensure_ascii=False) + '\n')

    def summary(self) -> str:
        """Return the last line of the text."""
        if not self.findings:
            return 'nothing is wrong'
        return f'{count(self.num_errors, "error")}, {count(self.num_warnings, "warning")}'


def format_finding(
    finding: FindingOfKind, number: str, lines: Sequence[str], most_lines: int
) -> str:
    """Return a finding as text.

    Args:
        finding: The finding.
        number: How often, and where.
        lines: One for each place or file.
        most_lines: As many of them are shown.
    """
    parts = [f'{finding.severity}: {finding.title} ({number})']
    parts += [f'    {line}' for line in lines[:most_lines]]
    if len(lines) > most_lines:
        parts.append(f'    … and {len(lines) - most_lines} more')
    return '\n'.join([*parts, f'  {finding.why}', f'  {finding.todo}'])


def format_line(finding: FindingOfKind, places: Sequence[str]) -> str:
    """Return a finding in one line, with the first of its places."""
    more = f' and {len(places) - 1} more' if len(places) > 1 else ''
    return f'{finding.title}: {places[0]}{more}. {finding.why} {finding.todo}'


def count(number: int, what: str) -> str:
    """Return ``1 image``, ``2 images``."""
    return f'{number} {what}' if number == 1 else f'{number} {what}s'
