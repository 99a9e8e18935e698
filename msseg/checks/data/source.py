"""One data set of a config as the doctor sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from msseg.checks.data.file_scan import PairScan, PairTask
from msseg.checks.data.label_rules import LabelRules


class Note(NamedTuple):
    """What listing the files has shown.

    Attributes:
        kind: A key of `KINDS`.
        path: The file.
        text: What is to be said of it.
    """

    kind: str
    path: str
    text: str = ''


@dataclass(frozen=True)
class Source:
    """One data set, wrappers taken off.

    Attributes:
        split: ``train``, ``val`` or ``test``.
        who: Name of its class.
        tasks: Its images and their labels.
        rules: What label values mean.
        notes: What listing the files has shown.
        img_dir: Folder of its images, None for none.
        to_rgb: Whether its pipeline's Normalize swaps BGR to RGB.
    """

    split: str
    who: str
    tasks: list[PairTask]
    rules: LabelRules
    notes: list[Note] = field(default_factory=list)
    img_dir: str | None = None
    to_rgb: bool = True

    def scanned(self, scans: Mapping[PairTask, PairScan]) -> Iterator[tuple[PairTask, PairScan]]:
        """Yield its pairs with what was found in them."""
        return ((task, scans[task]) for task in self.tasks)
