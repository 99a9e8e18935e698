"""Findings about labels: their files, colours and palettes, and their values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from msseg.checks.data.file_scan import LabelScan, unpack_colour
from msseg.checks.data.images import FILE_RULES, Scans
from msseg.checks.data.report import Statistics
from msseg.checks.data.source import LabelRules, Source
from msseg.checks.findings import Findings

_FILE_RULES = {
    **FILE_RULES,
    'truncated': 'truncated_label',
    'jpeg': 'jpeg_label',
    'mode': 'label_mode',
}
_NORMAL_BITS = 8
_MOST_CLASSES_IN_A_BYTE = 256
_MOST_NAMED = 6
_MANY_COLOURS = 64
_PICTURE = 'it has too many colours: it is a picture, or was resized or stored as JPEG'
_BLACK_AND_WHITE = {(0, 0, 0), (255, 255, 255)}
_MASK_ADVICE = 'If white marks class 1, set label_map={(0, 0, 0): 0, (255, 255, 255): 1}.'
_WHITE = 255
_FEW = 0.1
_MANY_VALUES = 5
_MOSTLY = 0.8
# In such labels a class may hide behind other values.
_MISREAD = ('labels_0_255', 'value_out_of_range', 'rgb_label', 'unknown_colour', 'no_colours')

Labels = Mapping[str, LabelScan]
Colour = tuple[int, int, int]


def add_label_findings(findings: Findings, source: Source, scans: Scans) -> None:
    """Find labels that cannot be read as class indices, or whose values are wrong."""
    labels = {task.label: scan.label for task, scan in source.scanned(scans) if scan.label}
    colours = set().union(*(map(unpack_colour, x.values) for x in labels.values() if x.is_colour))
    is_mask = colours <= _BLACK_AND_WHITE and len(source.rules.classes or ()) == len(colours)
    readable = {}
    for path, label in labels.items():
        if label.problem is not None:
            findings.add(_FILE_RULES[label.problem], path, label.detail, split=source.split)
        elif _add_form(findings, source, path, label, is_mask):
            readable[path] = label
    _add_values(findings, source, readable)


def _add_form(
    findings: Findings, source: Source, path: str, label: LabelScan, is_mask: bool
) -> bool:
    """Add what is wrong with the kind of file; return whether its values can be judged."""
    rules, split = source.rules, source.split
    if label.is_colour:
        return _add_colours(findings, source, path, label, is_mask)
    if rules.maps_colours_only:
        note = f'{label.form}, values {_some(label.values)}'
        findings.add('no_colours', path, note, split=split)
        return False
    has_many = rules.classes is not None and len(rules.classes) > _MOST_CLASSES_IN_A_BYTE
    if label.bits > _NORMAL_BITS and not has_many and not rules.maps(range):
        note = f'{label.form}, values {_some(label.values)}'
        findings.add('wide_label', path, note, split=split)
    if label.palette and rules.palette is not None:
        _add_palette(findings, source, path, label)
    return True


def _add_colours(
    findings: Findings, source: Source, path: str, label: LabelScan, is_mask: bool
) -> bool:
    rules = source.rules
    colours = {unpack_colour(value): pixels for value, pixels in label.values.items()}
    if not rules.maps(tuple):
        note = f'{label.form}, colours {_some(colours)}'
        todo = _MASK_ADVICE if is_mask else _colour_advice(colours, rules)
        findings.add('rgb_label', path, note, split=source.split, todo=todo)
        return False
    unknown = [f'{c} ({n} px)' for c, n in colours.items() if c not in rules.label_map]
    if unknown or label.num_lumped:
        findings.add('unknown_colour', path, _some(unknown) or _PICTURE, split=source.split)
        return False
    return True


def _colour_advice(colours: Mapping[Colour, int], rules: LabelRules) -> str:
    if len(colours) > _MANY_COLOURS:
        return f'Take the original label file: {_PICTURE}.'
    known = len(rules.classes or ())
    if all(r == g == b and (r < known or r == rules.ignore_index) for r, g, b in colours):
        return 'Each pixel holds its class index three times: save one of the three channels.'
    palette = [tuple(colour) for colour in (rules.palette or ())[:known]]
    if palette and all(colour in palette for colour in colours):
        shown = ', '.join(f'{colour}: {index}' for index, colour in enumerate(palette))
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
    rule, notes = 'palette_colours', []
    for value, colour in label.palette.items():
        index = source.rules.meaning(value)
        if not 0 <= index < len(palette) or colour == palette[index]:
            continue
        note = f'index {value} ({classes[index]}) has {colour}, not {palette[index]}'
        if colour in palette:
            rule = 'palette_order'
            note = f'{note}, but the colour of {classes[palette.index(colour)]}'
        notes.append(note)
    if notes:
        findings.add(rule, path, _some(notes), split=source.split)


def _add_values(findings: Findings, source: Source, labels: Labels) -> None:
    """Find labels {0, 255}, values that are no class, and labels without a pixel that counts."""
    rules, split = source.rules, source.split
    white = _find_white(labels, rules)
    for path in sorted(white):
        zero = ', and reduce_zero_label=False' if rules.reduce_zero_label else ''
        todo = f'If 255 marks class 1, set label_map={{255: 1}}{zero}.'
        note = f'255 on {labels[path].values[_WHITE]} px'
        findings.add('labels_0_255', path, note, split=split, todo=todo)
    wrong, ignored = {}, {}
    for path in labels.keys() - white:
        label = labels[path]
        meanings = {value: rules.meaning(value, label.is_colour) for value in label.values}
        bad = {v: label.values[v] for v, index in meanings.items() if not rules.is_right(index)}
        if bad or label.num_lumped:
            wrong[path] = bad
        elif set(meanings.values()) == {rules.ignore_index}:
            ignored[path] = f'holds {_values(label.values)} only'
    todo = None
    if len(ignored) == len(labels):
        todo = (
            f'{rules.ignore_index} is the ignore_index: correct it, label_map or '
            'reduce_zero_label: these labels teach nothing.'
        )
    advice = _range_advice(wrong, labels, rules) if wrong else None
    for path in labels:
        if path in ignored:
            findings.add('all_ignored', path, ignored[path], split=split, todo=todo)
        elif path in wrong:
            note = _some([f'{value} ({n} px)' for value, n in wrong[path].items()], ' values')
            findings.add('value_out_of_range', path, note, split=split, todo=advice)


def _find_white(labels: Labels, rules: LabelRules) -> set[str]:
    """Return the labels in which 255 seems to mean the foreground.

    Either no label has another value than 0 and 255; or some are so, and the others have no 255,
    as they would if it marked what does not count.
    """
    one_class = rules.classes is not None and len(rules.classes) < 2
    if one_class or rules.ignore_index != _WHITE or _WHITE in (rules.label_map or {}):
        return set()
    plain = {path: set(label.values) for path, label in labels.items() if not label.is_colour}
    others = [values for values in plain.values() if not values <= {0, _WHITE}]
    if any(_WHITE in values for values in others):
        return set()
    if not others:  # if all is 255, its meaning is not known
        has_zero = any(0 in values for values in plain.values())
        return {path for path, values in plain.items() if _WHITE in values and has_zero}
    return {path for path, values in plain.items() if values == {0, _WHITE}}


def _range_advice(wrong: Mapping[str, Mapping[int, int]], labels: Labels, rules: LabelRules) -> str:
    """Return what to do about values that are no class, by how many files have which."""
    bad = sorted({value for values in wrong.values() for value in values})
    first = bad[0] if bad else 'VALUE'
    counts = sum((Counter(label.values) for label in labels.values()), Counter())
    every = sorted(counts)
    num_classes = len(rules.classes or ())
    kept = [value for value in every if value != rules.ignore_index]
    in_order = next((v for v in (every, kept) if len(v) == num_classes > 1), None)
    if len(wrong) <= _FEW * len(labels):
        return (
            f'Only {len(wrong)} of {len(labels)} labels have such values: correct these files, or '
            f'leave those pixels out with label_map={{{first}: {rules.ignore_index}}}.'
        )
    if num_classes == 2 and not (rules.label_map or in_order):
        is_lumped = any(label.num_lumped for label in labels.values())
        if advice := _many_values_advice(counts, is_lumped):
            return advice
    if bad == [num_classes] and not rules.reduce_zero_label:
        if 0 not in every:
            return (
                f'The values are {every[0]} to {first}: if class 0 is stored as 1 and so on, set '
                'reduce_zero_label=True.'
            )
        return (
            f'If 0 stands for no class and classes count from 1, set reduce_zero_label=True; if '
            f'{first} is a class, add its name to the classes.'
        )
    if in_order and not rules.label_map:
        shown = ', '.join(f'{value}: {i}' for i, value in enumerate(in_order) if value != i)
        return (
            f'There are as many values as classes: if they are in order, set label_map={{{shown}}}.'
        )
    return (
        f'Map them with label_map={{{first}: …}}, ignore them with '
        f'label_map={{{first}: {rules.ignore_index}}}, or add the missing classes.'
    )


def _many_values_advice(counts: Counter[int], is_lumped: bool) -> str:
    """Return what to do about more values than two classes, '' if that does not apply."""
    values = sorted(counts)
    if sum(value > 1 for value in values) < 2:
        return ''
    ends = counts[0] + counts[_WHITE]
    is_soft = values[-1] == _WHITE and counts[_WHITE] and ends > _MOSTLY * counts.total()
    if is_soft and len(values) >= _MANY_VALUES:
        return (
            'Most pixels are 0 or 255: if the values between are soft edges, of resizing or '
            "smoothing, set label_map={'0-127': 0, '128-255': 1}, or save the masks without them."
        )
    if counts[0]:
        return (
            "If the values number the objects of class 1 in an image, set label_map={'1-': 1}; if "
            'these files are pictures, correct ann_dir and seg_map_suffix; or add the missing '
            'classes.'
        )
    if len(values) < _MANY_VALUES and not is_lumped:
        return ''
    return 'Only pictures have this many values: correct ann_dir and seg_map_suffix.'


def add_absent_classes(
    findings: Findings,
    split: str,
    rules: LabelRules,
    statistics: Statistics,
    is_sample: bool = False,
) -> None:
    """Find classes without a pixel in a split, or in a sample of it.

    The findings about labels come first: if many are read wrongly, nothing is added.
    """
    num_labels = statistics.label_forms.total()
    if not num_labels or len(findings.keys(_MISREAD, split)) > _FEW * num_labels:
        return
    classes = rules.classes or ()
    absent = [index for index in range(len(classes)) if not statistics.pixels[index]]
    if len(absent) == len(classes):
        return  # all is ignored, which is a finding already
    found = dict(sorted(statistics.values.items()))
    note = f'the labels hold {_values(found)} only' if len(found) <= _MOST_NAMED else ''
    why = None
    if is_sample:
        why = f'It is in none of the {num_labels} labels scanned: it is rare, or is misread.'
    for index in absent:
        todo = None
        if index == len(classes) - 1 and rules.reduce_zero_label and 0 in found:
            todo = (
                'reduce_zero_label=True leaves out value 0 and counts classes from value 1: if 0 '
                'is a class, set reduce_zero_label=False.'
            )
        elif len(absent) == 1 and rules.ignore_index in found and not rules.label_map:
            todo = (
                f'If {rules.ignore_index}, the ignore_index, marks this class, set '
                f'label_map={{{rules.ignore_index}: {index}}}; else look for its label value, add '
                'images of it, or remove it from the classes.'
            )
        name = f'class {index} {classes[index]!r}'
        findings.add('class_never_occurs', name, note, split=split, why=why, todo=todo)


def add_rule_differences(findings: Findings, sources: Sequence[Source]) -> None:
    """Find data sets that read label files in another way than their class does in training."""
    for source in sources:
        same = [s.rules for s in sources if s.split == 'train' and s.who == source.who]
        for name in ('label_map', 'reduce_zero_label'):
            trained = [getattr(rules, name) for rules in same]
            value = getattr(source.rules, name)
            if trained and value not in trained:
                note = f'is {value!r}, but {trained[0]!r} in data.train'
                findings.add('rules_differ', f'{name} of {source.who}', note, split=source.split)


def _some(items: Sequence | Mapping, what: str = '') -> str:
    more = len(items) - _MOST_NAMED
    shown = ', '.join(str(item) for item in list(items)[:_MOST_NAMED])
    return f'{shown} and {more} more{what}' if more > 0 else shown


def _values(values: Mapping[int, int]) -> str:
    return ', '.join(map(str, list(values)[:_MOST_NAMED]))
