"""What the doctor found, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from msseg.checks.data.label_rules import LabelRules
from msseg.checks.data.statistics import Statistics
from msseg.checks.findings import Report


@dataclass(frozen=True)
class Balance:
    """Weights of the classes, for the losses.

    Attributes:
        median_frequency: By median frequency balancing.
        effective_number: By the effective number of samples.
        beta: The latter's parameter.
    """

    median_frequency: list[float]
    effective_number: list[float]
    beta: float


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of the images, in the order that Normalize takes.

    Attributes:
        mean: Of each channel.
        std: Likewise.
        to_rgb: Whether they are in RGB order.
    """

    mean: list[float]
    std: list[float]
    to_rgb: bool


@dataclass(frozen=True)
class SplitReport:
    """A split's counts.

    Attributes:
        name: ``train``, ``val`` or ``test``.
        datasets: Names of its data sets' classes.
        num_images: Images listed.
        rules: What label values mean (in its first data set).
        statistics: The counts.
        balance: None without labels or classes.
        normalisation: None without images, or when they differ in their channels.
    """

    name: str
    datasets: Sequence[str]
    num_images: int
    rules: LabelRules
    statistics: Statistics
    balance: Balance | None = None
    normalisation: Normalisation | None = None

    def as_dict(self) -> dict:
        """Return it as plain values."""
        counts = self.statistics
        named = dict(enumerate(self.rules.classes or ()))
        extra = sorted(set(counts.pixels) - set(named))
        return {
            'datasets': list(self.datasets),
            'num_images': self.num_images,
            'sizes': [{'size': list(s), 'images': n} for s, n in counts.sizes.most_common()],
            'image_forms': dict(counts.image_forms.most_common()),
            'label_forms': dict(counts.label_forms.most_common()),
            'ignore_index': self.rules.ignore_index,
            'classes': [
                {
                    'index': index,
                    'name': named.get(index),
                    'pixels': counts.pixels[index],
                    'images': counts.num_images[index],
                }
                for index in [*named, *extra]
            ],
            'class_weight': vars(self.balance) if self.balance else None,
            'img_norm_cfg': vars(self.normalisation) if self.normalisation else None,
        }


@dataclass(frozen=True)
class DatasetReport(Report):
    """All findings and all splits.

    Attributes:
        splits: In the order asked for.
        same_files: From a split to the one whose files it has, which is looked at once.
    """

    splits: Sequence[SplitReport]
    same_files: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict:
        """Return it as plain values, for JSON."""
        return {
            **super().as_dict(),
            'splits': {split.name: split.as_dict() for split in self.splits},
            'same_files': self.same_files,
        }
