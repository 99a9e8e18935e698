"""What is wrong with label files: unreadable ones, colours, palettes, bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msseg.checks.data.file_scan import LabelScan, PairScan, PairTask
from msseg.checks.data.file_scan.label_scan import unpack_colour
from msseg.checks.data.finding import Findings
from msseg.checks.data.label_rules import LabelRules
from msseg.checks.data.source import Source
from msseg.checks.data.value_findings import add_value_findings

_FILE_KINDS = {
    'missing': 'unreadable_file',
    'empty': 'empty_file',
    'truncated': 'truncated_label',
    'unreadable': 'unreadable_file',
    'setting': 'needs_setting',
    'jpeg': 'jpeg_label',
    'mode': 'label_mode',
}
_NORMAL_BITS = 8
_MOST_CLASSES_IN_A_BYTE = 256
_MOST_NAMED = 6
_PICTURE = 'it has so many colours that it is a picture, or was resized or stored as JPEG'
_MANY_COLOURS = 64
_BLACK_AND_WHITE = {(0, 0, 0), (255, 255, 255)}
_MASK_ADVICE = 'If white marks class 1, set label_map={(0, 0, 0): 0, (255, 255, 255): 1}.'


def add_label_findings(
    findings: Findings, source: Source, scans: Mapping[PairTask, PairScan]
) -> None:
    """Find labels that cannot be read as class indices, or whose values are wrong."""
    readable = {}
    colours = {
        unpack_colour(value)
        for _, scan in source.scanned(scans)
        if scan.label is not None and scan.label.is_colour
        for value in scan.label.values
    }
    is_mask = colours <= _BLACK_AND_WHITE and len(source.rules.classes or ()) == len(colours)
    for task, scan in source.scanned(scans):
        if scan.label is None:
            continue
        if scan.label.problem is not None:
            kind = _FILE_KINDS[scan.label.problem]
            findings.add(kind, source.split, task.label, scan.label.detail)
        elif _add_form(findings, source, task.label, scan.label, is_mask):
            readable[task.label] = scan.label
    add_value_findings(findings, source, readable)


def _add_form(
    findings: Findings, source: Source, path: str, label: LabelScan, is_mask: bool
) -> bool:
    """Note what kind of file is wrong; return whether its values mean something."""
    rules, split = source.rules, source.split
    if label.is_colour:
        return _add_colours(findings, source, path, label, is_mask)
    if rules.maps_colours_only:
        findings.add('no_colours', split, path, f'{label.form}, values {_some(label.values)}')
        return False
    many = rules.classes is not None and len(rules.classes) > _MOST_CLASSES_IN_A_BYTE
    if label.bits > _NORMAL_BITS and not many and not rules.maps_ranges:
        findings.add('wide_label', split, path, f'{label.form}, values {_some(label.values)}')
    if label.palette and rules.palette is not None:
        _add_palette(findings, source, path, label)
    return True


def _add_colours(
    findings: Findings, source: Source, path: str, label: LabelScan, is_mask: bool
) -> bool:
    rules = source.rules
    colours = {unpack_colour(value): pixels for value, pixels in label.values.items()}
    if not rules.maps_colours:
        note = f'{label.form}, colours {_some(colours)}'
        advice = _MASK_ADVICE if is_mask else _colour_advice(colours, rules)
        findings.add('rgb_label', source.split, path, note, todo=advice)
        return False
    unknown = {c: pixels for c, pixels in colours.items() if c not in (rules.label_map or {})}
    if unknown or label.num_lumped:
        named = [f'{c} ({pixels} px)' for c, pixels in unknown.items()]
        findings.add('unknown_colour', source.split, path, _some(named) or _PICTURE)
        return False
    return True


def _colour_advice(colours: Mapping[tuple[int, int, int], int], rules: LabelRules) -> str:
    if len(colours) > _MANY_COLOURS:
        return f'Take the original label file: {_PICTURE}.'
    known = len(rules.classes or ())
    if all(r == g == b and (r < known or r == rules.ignore_index) for r, g, b in colours):
        return 'Each pixel holds its class index three times: save one of the three channels.'
    palette = [tuple(colour) for colour in (rules.palette or ())[:known]]
    if palette and all(colour in palette for colour in colours):
        label_map = {colour: index for index, colour in enumerate(palette)}
        shown = ', '.join(f'{c}: {i}' for c, i in label_map.items())
        return f'The colours are those of PALETTE: set label_map={{{shown}}}.'
    shown = ', '.join(f'{colour}: …' for colour in list(colours)[:_MOST_NAMED])
    return (
        f'Set label_map={{{shown}}}, with the class index of each colour (or the ignore_index), '
        'or save indices in one channel.'
    )


def _add_palette(findings: Findings, source: Source, path: str, label: LabelScan) -> None:
    """Compare the colours of the indices in use with PALETTE."""
    classes = source.rules.classes or ()
    palette = [tuple(colour) for colour in (source.rules.palette or ())[: len(classes)]]
    kind, notes = None, []
    for value, colour in label.palette.items():
        index = source.rules.meaning(value)
        if not 0 <= index < len(palette) or colour == palette[index]:
            continue
        note = f'index {value} ({classes[index]}) has {colour}, not {palette[index]}'
        if colour in palette:
            kind = 'palette_order'
            note = f'{note}, but the colour of {classes[palette.index(colour)]}'
        notes.append(note)
    if notes:
        findings.add(kind or 'palette_colours', source.split, path, _some(notes))


def _some(items: Sequence | Mapping) -> str:
    texts = [str(item) for item in items]
    more = len(texts) - _MOST_NAMED
    return ', '.join(texts[:_MOST_NAMED]) + (f' and {more} more' if more > 0 else '')
