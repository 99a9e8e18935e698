"""What became of every parameter, as text."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from terminaltables import AsciiTable

from msseg.convert.conversion import KINDS, Conversion, Entry
from msseg.utils.atomic import atomic_write_text

_TAKEN = ('matched', 'converted', 'filled')
_COLUMNS = {
    'Matched': _TAKEN,
    'Shape mismatch': ('shape mismatch',),
    'Missing': ('missing',),
    'Unexpected': ('unexpected',),
}


def part_of(name: str) -> str:
    """Return the part of the model that a parameter belongs to: ``backbone``, ``decode_head.0``."""
    first, _, rest = name.partition('.')
    index = rest.partition('.')[0]
    return f'{first}.{index}' if first.endswith('_head') and index.isdigit() else first


def count_taken(conversion: Conversion, prefix: str = '') -> int:
    """Return how many of the model's parameters got their values."""
    return sum(entry.target.startswith(prefix) for entry in conversion.of_kind(*_TAKEN))


def format_table(conversion: Conversion) -> str:
    """Return a table that counts what fitted, by part of the model, and a line on the rest."""
    counts: dict[str, Counter] = {}
    for entry in conversion.entries:
        for column, kinds in _COLUMNS.items():
            if entry.kind in kinds:
                part = part_of(entry.target or entry.source)
                counts.setdefault(part, Counter())[column] += 1
    rows = [['Part', *_COLUMNS]]
    # The file's own unknown parts come last.
    for part in sorted(counts, key=lambda name: (not _is_in_model(counts[name]), name)):
        rows.append([part, *(str(counts[part][column]) for column in _COLUMNS)])
    rows.append(['total', *(str(sum(c[column] for c in counts.values())) for column in _COLUMNS)])
    table = AsciiTable(rows)
    table.inner_footing_row_border = True
    table.justify_columns = dict.fromkeys(range(1, len(rows[0])), 'right')
    return '\n'.join([table.table, *_notes(conversion)])


def format_report(conversion: Conversion, source: str | Path) -> str:
    """Return the table and every single parameter with its shape."""
    lines = [f'{source}: names of style {conversion.style!r}', '', format_table(conversion)]
    for kind in KINDS:
        entries = conversion.of_kind(kind)
        lines += ['', f'{kind}: {len(entries)}', *(f'  {_describe(entry)}' for entry in entries)]
    return '\n'.join(lines) + '\n'


def write_report(conversion: Conversion, source: str | Path, path: str | Path) -> None:
    """Write `format_report`, or the same as JSON when the file's name ends in ``.json``."""
    if Path(path).suffix == '.json':
        entries = [asdict(entry) for entry in conversion.entries]
        content = {'source': str(source), 'style': conversion.style, 'parameters': entries}
        atomic_write_text(path, json.dumps(content, indent=1) + '\n')
    else:
        atomic_write_text(path, format_report(conversion, source))


def list_misfits(conversion: Conversion) -> str:
    """Return in one sentence how many parameters fit and examples of what did not."""
    taken = count_taken(conversion)
    total = taken + len(conversion.of_kind('missing', 'shape mismatch'))
    parts = [f'{taken} of {total} parameters of the model match']
    for kind in ('missing', 'unexpected', 'shape mismatch'):
        if entries := conversion.of_kind(kind):
            example = _describe_misfit(entries[0])
            kind = 'of another shape' if kind == 'shape mismatch' else kind
            parts.append(f'{len(entries)} {kind}, such as {example}')
    return '; '.join(parts)


def _describe_misfit(entry: Entry) -> str:
    if entry.kind == 'shape mismatch':
        return f'{entry.target!r} ({entry.shape} in the file, {entry.note})'
    return repr(entry.source or entry.target)


def _is_in_model(counts: Counter) -> bool:
    return any(counts[column] for column in _COLUMNS if column != 'Unexpected')


def _notes(conversion: Conversion) -> list[str]:
    notes = []
    if folded := conversion.of_kind('folded'):
        notes.append(f'{len(folded)} biases before batch norm went into its running mean')
    if filled := conversion.of_kind('filled'):
        notes.append(f'{len(filled)} biases before batch norm are not in the file and start at 0')
    reasons = Counter(entry.note for entry in conversion.of_kind('left aside'))
    notes += [f'{count} left aside: {reason}' for reason, count in reasons.items()]
    return notes


def _describe(entry: Entry) -> str:
    names = [name for name in (entry.source, entry.target) if name]
    name = ' -> '.join(dict.fromkeys(names))
    note = f'  ({entry.note})' if entry.note else ''
    return f'{name}  {list(entry.shape)}{note}'
