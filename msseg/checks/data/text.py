"""The report as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from terminaltables import AsciiTable

from msseg.checks.data.finding import Finding
from msseg.checks.data.report import DatasetReport, SplitReport
from msseg.checks.findings import count, format_finding

_MOST_FILES = 5
_MOST_SIZES = 5


def format_report(report: DatasetReport) -> str:
    """Return findings, counts, and what can be pasted into a config."""
    parts = [_format_finding(finding) for finding in report.findings]
    parts += [_format_split(split, report.same_files.get(split.name)) for split in report.splits]
    parts += _format_paste(report.splits)
    return '\n\n'.join([*parts, report.summary()])


def _format_finding(finding: Finding) -> str:
    lines = [f'{path}: {note}' if note else path for path, note in finding.files.items()]
    number = f'{len(lines)}, in {", ".join(finding.splits)}'
    return format_finding(finding, number, lines, _MOST_FILES)


def _format_split(split: SplitReport, same: str | None) -> str:
    datasets = ' + '.join(f'{n} x {who}' if n > 1 else who for who, n in _runs(split.datasets))
    head = f'{split.name}: {datasets}, {count(split.num_images, "image")}'
    if same is not None:
        return f'{head}, the files of {same}'
    lines = [head, f'  sizes (height x width): {_format_sizes(split.statistics.sizes)}']
    lines.append(f'  images: {_format_counts(split.statistics.image_forms)}')
    if split.statistics.label_forms:
        lines.append(f'  labels: {_format_counts(split.statistics.label_forms)}')
        lines.append(_class_table(split))
    return '\n'.join(lines)


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


def _class_table(split: SplitReport) -> str:
    counts, rules = split.statistics, split.rules
    classes = rules.classes or ()
    total = max(sum(counts.pixels[k] for k in range(len(classes))), 1)
    rows = [['Index', 'Class', 'Pixels', 'Share', 'Images']]
    for k, name in enumerate(classes):
        share = f'{100 * counts.pixels[k] / total:.3f} %'
        rows.append([str(k), name, str(counts.pixels[k]), share, str(counts.num_images[k])])
    for value in sorted(k for k in counts.pixels if not 0 <= k < len(classes)):
        what = 'does not count' if value == rules.ignore_index else 'no class'
        what = what if classes else ''
        rows.append(
            [str(value), what, str(counts.pixels[value]), '', str(counts.num_images[value])]
        )
    table = AsciiTable(rows)
    table.justify_columns = {0: 'right', 2: 'right', 3: 'right', 4: 'right'}
    return table.table


def _format_paste(splits: Sequence[SplitReport]) -> list[str]:
    """Return lines for a config from the first split, which is `train` where it was looked at."""
    lines = []
    for split in splits[:1]:
        if split.balance is not None:
            median, effective = split.balance.median_frequency, split.balance.effective_number
            beta = f'beta={split.balance.beta!r}'
            lines.append(f'class_weight=[{_numbers(median)}]  # median frequency balancing')
            lines.append(f'class_weight=[{_numbers(effective)}]  # effective number, {beta}')
        if split.normalisation is not None:
            norm = split.normalisation
            lines.append(
                f'img_norm_cfg = dict(mean=[{_numbers(norm.mean)}], '
                f'std=[{_numbers(norm.std)}], to_rgb={norm.to_rgb})'
            )
    if not lines:
        return []
    return [f'of {splits[0].name}, to paste into a config:\n\n' + '\n'.join(lines)]


def _numbers(values: Iterable[float]) -> str:
    return ', '.join(f'{value:.4g}' if value < 1 else f'{value:.3f}' for value in values)


def _runs(names: Sequence[str]) -> list[tuple[str, int]]:
    return list(Counter(names).items())
