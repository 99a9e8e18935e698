"""Reports of a conversion: tables and lists of parameters."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from terminaltables import AsciiTable

from msseg.convert.conversion import KINDS, Conversion, Entry
from msseg.utils.atomic import atomic_write_text
from msseg.utils.suggest import nearest

_TAKEN = ('matched', 'converted', 'joined', 'split', 'changed', 'resized', 'adapted', 'filled')
_MAX_SEARCHED = 500  # names, for a near one
_COLUMNS = {
    'Matched': _TAKEN,
    'Shape mismatch': ('shape mismatch',),
    'Missing': ('missing',),
    'Unexpected': ('unexpected',),
}


def count_taken(conversion: Conversion, prefix: str = '') -> int:
    """Return how many of the model's parameters got their values."""
    names = {entry.target for entry in conversion.of_kind(*_TAKEN)}
    return sum(name.startswith(prefix) for name in names)


def format_table(conversion: Conversion) -> str:
    """Return a table of counts by part of the model, and a line for each other kind of entry."""
    counts: dict[str, Counter] = {}
    for column, kinds in _COLUMNS.items():
        names = {entry.target or entry.source: None for entry in conversion.of_kind(*kinds)}
        for name in names:
            counts.setdefault(_part_of(name), Counter())[column] += 1

    def is_only_in_file(part: str) -> bool:
        return set(counts[part]) == {'Unexpected'}

    rows = [['Part', *_COLUMNS]]
    for part in sorted(counts, key=lambda part: (is_only_in_file(part), part)):
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
    text = format_report(conversion, source)
    if Path(path).suffix == '.json':
        entries = [asdict(entry) for entry in conversion.entries]
        content = {'source': str(source), 'style': conversion.style, 'parameters': entries}
        text = json.dumps(content, indent=1) + '\n'
    atomic_write_text(path, text)


def list_misfits(conversion: Conversion) -> str:
    """Return in one sentence how many parameters fit, with an example of each kind of misfit."""
    taken = count_taken(conversion)
    misfits = {entry.target for entry in conversion.of_kind('missing', 'shape mismatch')}
    parts = [f'{taken} of {taken + len(misfits)} parameters of the model match']
    for kind in ('missing', 'unexpected', 'shape mismatch'):
        if entries := conversion.of_kind(kind):
            first, what = entries[0], kind
            example = repr(first.source or first.target)
            if kind == 'missing':
                names = [entry.source for entry in conversion.of_kind('unexpected')[:_MAX_SEARCHED]]
                near = nearest(first.target, names, 1)
                example += f' (is it {near[0]!r} in the file?)' if near else ''
            elif kind == 'unexpected' and not first.target:
                example += f' ({first.note})'
            if kind == 'shape mismatch':
                what = 'of another shape'
                example = f'{first.target!r} ({first.shape} in the file, {first.note})'
            parts.append(f'{len(entries)} {what}, such as {example}')
    return '; '.join(parts)


def _part_of(name: str) -> str:
    """Return the part of the model that has a parameter: ``backbone``, ``decode_head.0``."""
    first, _, rest = name.partition('.')
    index = rest.partition('.')[0]
    return f'{first}.{index}' if first.endswith('_head') and index.isdigit() else first


def _notes(conversion: Conversion) -> list[str]:
    notes = []
    if joined := conversion.of_kind('joined'):
        number = len({entry.target for entry in joined})
        notes.append(f'{len(joined)} were joined to {number}')
    if split := conversion.of_kind('split'):
        notes.append(f'{len({entry.source for entry in split})} were split into {len(split)}')
    changed = Counter(entry.note for entry in conversion.of_kind('changed'))
    notes += [f'{number} were changed: {note}' for note, number in changed.items()]
    if resized := conversion.of_kind('resized'):
        first = resized[0]
        sizes = f'{first.target} from {first.shape} to {first.wanted_shape}'
        notes.append(f'{len(resized)} tables were resized to the model, such as {sizes}')
    notes += [f'{entry.target}: {entry.note}' for entry in conversion.of_kind('adapted')]
    if folded := conversion.of_kind('folded'):
        notes.append(f'{len(folded)} biases before batch norm went into its running mean')
    if filled := conversion.of_kind('filled'):
        notes.append(f'{len(filled)} biases before batch norm are not in the file and start at 0')
    reasons = Counter(entry.note for entry in conversion.of_kind('left aside'))
    return notes + [f'{count} left aside: {reason}' for reason, count in reasons.items()]


def _describe(entry: Entry) -> str:
    name = ' -> '.join(dict.fromkeys(filter(None, (entry.source, entry.target))))
    note = f'  ({entry.note})' if entry.note else ''
    return f'{name}  {list(entry.shape)}{note}'
