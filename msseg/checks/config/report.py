"""What the doctor of configs found, as values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from msseg.checks.config.trial import Trial
from msseg.checks.findings import Report


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
class ConfigReport(Report):
    """All findings, and what was built and computed.

    Attributes:
        model: None when it could not be built.
        splits: Those that were built.
        num_iters: Length of the run; None when it is not known.
        trial: What one step gave; None when none was done.
    """

    model: ModelSummary | None = None
    splits: dict[str, SplitSummary] = field(default_factory=dict)
    num_iters: int | None = None
    trial: Trial | None = None

    def as_dict(self) -> dict:
        """Return it as plain values, for JSON."""
        return {
            **super().as_dict(),
            'model': asdict(self.model) if self.model else None,
            'splits': {name: asdict(split) for name, split in self.splits.items()},
            'num_iters': self.num_iters,
            'trial': asdict(self.trial) if self.trial else None,
        }
