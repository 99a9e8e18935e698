"""Findings: what is wrong at places of the config, brought together by kind."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from msseg.apis.check_config.kinds import HINDERS_BUILDING, KINDS
from msseg.apis.check_config.settings import Setting
from msseg.apis.check_dataset.kinds import Severity


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
class Finding:
    """One thing that is wrong, with all places it is wrong at.

    Attributes:
        kind: A key of `KINDS`.
        places: By key.
    """

    kind: str
    places: dict[str, Place] = field(default_factory=dict)

    @property
    def severity(self) -> Severity:
        """``error`` or ``warning``."""
        return KINDS[self.kind].severity

    @property
    def title(self) -> str:
        """What it is called."""
        return KINDS[self.kind].title

    @property
    def why(self) -> str:
        """What comes of it."""
        return KINDS[self.kind].why

    @property
    def todo(self) -> str:
        """What to do about it."""
        return KINDS[self.kind].todo

    def as_dict(self) -> dict:
        """Return it as plain values."""
        return {
            'kind': self.kind,
            'severity': self.severity,
            'title': self.title,
            'places': [place._asdict() for place in self.places.values()],
            'why': self.why,
            'todo': self.todo,
        }


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
        finding = self._by_kind.setdefault(kind, Finding(kind))
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
        order = list(KINDS)
        return sorted(
            self._by_kind.values(), key=lambda f: (f.severity != 'error', order.index(f.kind))
        )
