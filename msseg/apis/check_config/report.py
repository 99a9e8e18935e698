"""What the doctor of configs found, as values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from msseg.apis.check_config.finding import Finding
from msseg.apis.check_config.trial import Trial
from msseg.utils.atomic import atomic_write_text


@dataclass(frozen=True)
class ModelSummary:
    """What was built of ``model``.

    Attributes:
        segmentor: Name of its class.
        backbone: Likewise.
        heads: Names of the heads' classes, by their prefix in the log.
        num_parameters: Numbers that are trained.
    """

    segmentor: str
    backbone: str
    heads: dict[str, str]
    num_parameters: int


@dataclass(frozen=True)
class SplitSummary:
    """What was built of one of ``data``.

    Attributes:
        dataset: Name of its class.
        num_images: Number of images.
        num_classes: Number of classes.
    """

    dataset: str
    num_images: int
    num_classes: int


@dataclass(frozen=True)
class ConfigReport:
    """All findings, and what was built and computed.

    Attributes:
        config: The config's file.
        findings: Errors first.
        model: None when it could not be built.
        splits: Those that were built.
        num_iters: Length of the run; None when it is not known.
        trial: What one step gave; None when none was done.
    """

    config: str
    findings: Sequence[Finding]
    model: ModelSummary | None = None
    splits: dict[str, SplitSummary] = field(default_factory=dict)
    num_iters: int | None = None
    trial: Trial | None = None

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
            'model': asdict(self.model) if self.model else None,
            'splits': {name: asdict(split) for name, split in self.splits.items()},
            'num_iters': self.num_iters,
            'trial': asdict(self.trial) if self.trial else None,
        }


def write_json(report: ConfigReport, path: str | Path) -> None:
    """Write a report to a file, whole or not at all."""
    text = json.dumps(report.as_dict(), indent=2, ensure_ascii=False)
    atomic_write_text(path, f'{text}\n')
