"""Findings: notes on files, brought together by kind."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from msseg.checks.data.kinds import KINDS
from msseg.checks.findings import FindingOfKind, errors_first


@dataclass
class Finding(FindingOfKind):
    """One thing that is wrong, with all files it is wrong in.

    Attributes:
        splits: Where it was found.
        files: What is to be said of each file, by path; the text may be empty.
    """

    kinds = KINDS
    splits: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)

    def where(self) -> dict:
        """Return splits and files as plain values."""
        return {
            'splits': self.splits,
            'num_files': len(self.files),
            'files': [{'path': path, 'note': note} for path, note in self.files.items()],
        }


class Findings:
    """Collects findings; a file that two splits share is named once, with both splits."""

    def __init__(self) -> None:
        self._by_key: dict[tuple[str, str, str], Finding] = {}

    def add(
        self,
        kind: str,
        split: str,
        path: str,
        note: str = '',
        why: str | None = None,
        todo: str | None = None,
    ) -> None:
        """Add a note on a file.

        Args:
            kind: A key of `KINDS`.
            split: Where it was found.
            path: The file, folder, or whatever it is about.
            note: What is to be said of it.
            why: In place of the kind's own consequence.
            todo: In place of the kind's own cure.
        """
        key = kind, why or KINDS[kind].why, todo or KINDS[kind].todo
        finding = self._by_key.setdefault(key, Finding(*key))
        finding.files.setdefault(path, note)
        if split not in finding.splits:
            finding.splits.append(split)

    def num_files(self, kinds: Collection[str], split: str) -> int:
        """Return how many files of a split have findings of some kinds."""
        found = [f for f in self._by_key.values() if f.kind in kinds and split in f.splits]
        return len({path for finding in found for path in finding.files})

    def sorted(self) -> list[Finding]:
        """Return them, errors first, then in the order of `KINDS`."""
        return errors_first(self._by_key.values())
