"""Findings: what is wrong at places of the config, brought together by kind."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from msseg.apis.settings import Setting
from msseg.checks.config.kinds import HINDERS_BUILDING, KINDS
from msseg.checks.findings import FindingOfKind, errors_first


class Place(NamedTuple):
    """Where something is wrong.

    Attributes:
        key: Dotted key.
        origin: What set it: a file, ``--cfg-options``, ``default``; '' when it is no setting.
        note: What is to be said of it.
    """

    key: str
    origin: str
    note: str


@dataclass
class Finding(FindingOfKind):
    """One thing that is wrong, with all places it is wrong at.

    Attributes:
        places: By key.
    """

    kinds = KINDS
    places: dict[str, Place] = field(default_factory=dict)

    def where(self) -> dict:
        """Return the places as plain values."""
        return {'places': [place._asdict() for place in self.places.values()]}


class Findings:
    """Collects findings; of each kind a place is named once."""

    def __init__(self) -> None:
        self._by_kind: dict[str, Finding] = {}

    def add(self, kind: str, place: Setting | str, note: str, origin: str = '') -> None:
        """Add a place.

        Args:
            kind: A key of `KINDS`.
            place: The setting, or a dotted key.
            note: What is to be said of it.
            origin: What set it, with a key.
        """
        if isinstance(place, Setting):
            place, origin = place.key, place.origin
        found = Finding(kind, KINDS[kind].why, KINDS[kind].todo)
        finding = self._by_kind.setdefault(kind, found)
        finding.places.setdefault(place, Place(place, origin, note))

    def hinders(self, key: str, kinds: Collection[str] = HINDERS_BUILDING) -> bool:
        """Whether some kinds of finding are at or below a dotted key."""
        below = (f'{key}.', f'{key}[')
        places = [p for kind in kinds if kind in self._by_kind for p in self._by_kind[kind].places]
        return any(place == key or place.startswith(below) for place in places)

    @property
    def num_errors(self) -> int:
        """Number of kinds of errors found."""
        return sum(finding.severity == 'error' for finding in self._by_kind.values())

    @property
    def num_places(self) -> int:
        """Number of places, of all kinds together."""
        return sum(len(finding.places) for finding in self._by_kind.values())

    def sorted(self) -> list[Finding]:
        """Return them, errors first, then in the order of `KINDS`."""
        return errors_first(self._by_kind.values())
