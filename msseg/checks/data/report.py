"""The report on data sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from terminaltables import AsciiTable

from msseg.checks.data.source import LabelRules
from msseg.checks.data.statistics import Balance, Normalisation, Statistics
from msseg.checks.findings import Report, count

_MOST_SIZES = 5


@dataclass(frozen=True)
class SplitReport:
    """The counts of a split."""

    name: str  # ``train``, ``val`` or ``test``
    datasets: Sequence[str]  # Names of the classes of its data sets
    num_images: int  # Number of images listed
    rules: LabelRules  # The meaning of label values in its first data set
    statistics: Statistics  # The counts
    balance: Balance | None = None  # None without labels or classes
    # None without images, or if they differ in their channels
    normalisation: Normalisation | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        counts = self.statistics
        named = dict(enumerate(self.rules.classes or ()))
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
                for index in self._indices()
            ],
            'class_weight': vars(self.balance) if self.balance else None,
            'img_norm_cfg': vars(self.normalisation) if self.normalisation else None,
        }

    def _indices(self) -> list[int]:
        """Return the classes, then the other values that occur."""
        classes = range(len(self.rules.classes or ()))
        return [*classes, *sorted(set(self.statistics.pixels) - set(classes))]

    def text(self, same: str | None) -> str:
        """Return the counts as text; of a split with the files of another, its name only."""
        datasets = ' + '.join(
            f'{n} x {who}' if n > 1 else who for who, n in Counter(self.datasets).items()
        )
        head = f'{self.name}: {datasets}, {count(self.num_images, "image")}'
        if same is not None:
            return f'{head}, the files of {same}'
        counts = self.statistics
        lines = [head, f'  sizes (height x width): {_format_sizes(counts.sizes)}']
        lines.append(f'  images: {_format_counts(counts.image_forms)}')
        if counts.label_forms:
            lines += [f'  labels: {_format_counts(counts.label_forms)}', self._class_table()]
        return '\n'.join(lines)

    def _class_table(self) -> str:
        counts, classes = self.statistics, self.rules.classes or ()
        total = max(sum(counts.pixels[k] for k in range(len(classes))), 1)
        rows = [['Index', 'Class', 'Pixels', 'Share', 'Images']]
        for k in self._indices():
            name, share = '', ''
            if 0 <= k < len(classes):
                name, share = classes[k], f'{100 * counts.pixels[k] / total:.3f} %'
            elif classes:
                name = 'does not count' if k == self.rules.ignore_index else 'no class'
            rows.append([str(k), name, str(counts.pixels[k]), share, str(counts.num_images[k])])
        table = AsciiTable(rows)
        table.justify_columns = {0: 'right', 2: 'right', 3: 'right', 4: 'right'}
        return table.table

    def lines_for_config(self) -> list[str]:
        """Return lines that can be pasted into a config."""
        lines = []
        if self.balance is not None:
            median, effective = self.balance.median_frequency, self.balance.effective_number
            lines = [
                f'class_weight=[{_numbers(median)}]  # median frequency balancing',
                f'class_weight=[{_numbers(effective)}]  # effective number, '
                f'beta={self.balance.beta!r}',
            ]
        if self.normalisation is not None:
            norm = self.normalisation
            numbers = f'mean=[{_numbers(norm.mean)}], std=[{_numbers(norm.std)}]'
            lines.append(f'img_norm_cfg = dict({numbers}, to_rgb={norm.to_rgb})')
        return lines


@dataclass(frozen=True)
class DatasetReport(Report):
    """All findings, and the counts of all splits."""

    splits: Sequence[SplitReport]  # In the order asked for
    # From a split to an earlier one with the same files
    same_files: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {
            **super().as_dict(),
            'splits': {split.name: split.as_dict() for split in self.splits},
            'same_files': self.same_files,
        }

    def facts(self) -> list[str]:
        parts = [split.text(self.same_files.get(split.name)) for split in self.splits]
        lines = self.splits[0].lines_for_config()
        if lines:
            parts += [f'of {self.splits[0].name}, to paste into a config:', '\n'.join(lines)]
        return parts


def _format_sizes(sizes: Counter[tuple[int, int]]) -> str:
    named = [f'{h}x{w} ({n})' for (h, w), n in sizes.most_common(_MOST_SIZES)]
    rest = sizes.most_common()[_MOST_SIZES:]
    if rest:
        smallest, largest = min(s for s, _ in rest), max(s for s, _ in rest)
        named.append(
            f'{sum(n for _, n in rest)} of {len(rest)} other sizes, '
            f'from {smallest[0]}x{smallest[1]} to {largest[0]}x{largest[1]}'
        )
    return ', '.join(named) or 'none'


def _format_counts(counts: Counter[str]) -> str:
    return '; '.join(f'{number} {form}' for form, number in counts.most_common()) or 'none'


def _numbers(values: Iterable[float]) -> str:
    return ', '.join(f'{value:.4g}' if value < 1 else f'{value:.3f}' for value in values)
