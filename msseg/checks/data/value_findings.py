"""What is wrong with the values of labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from msseg.checks.data.file_scan import LabelScan
from msseg.checks.data.finding import Findings
from msseg.checks.data.label_rules import LabelRules
from msseg.checks.data.source import Source
from msseg.checks.data.statistics import Statistics

_WHITE = 255
_FEW = 0.1
_MOST_NAMED = 6
_MANY_VALUES = 5
_ALL_IGNORED = 'correct it, label_map or reduce_zero_label: these labels teach nothing.'
_MOSTLY = 0.8
# In such labels a class may hide behind other values.
_MISREAD = ('labels_0_255', 'value_out_of_range', 'rgb_label', 'unknown_colour', 'no_colours')


def add_value_findings(findings: Findings, source: Source, labels: Mapping[str, LabelScan]) -> None:
    """Find labels {0, 255}, values that are no class, and labels without a pixel that counts.

    Args:
        findings: Gets them.
        source: The data set.
        labels: Its labels that can be read, by path.
    """
    rules, split = source.rules, source.split
    white = _find_white(labels, rules)
    for path in sorted(white):
        note = f'255 on {labels[path].values[_WHITE]} px'
        findings.add('labels_0_255', split, path, note, todo=_white_advice(rules))
    wrong, ignored = {}, {}
    for path, label in labels.items():
        if path in white:
            continue
        pixels = rules.count(label)
        bad = {v: n for v, n in label.values.items() if not _is_right(v, label, rules)}
        if bad or label.num_lumped:
            wrong[path] = bad
        elif pixels and set(pixels) == {rules.ignore_index}:
            ignored[path] = f'holds {_values(label.values)} only'
    is_all = len(ignored) == len(labels)
    todo = f'{rules.ignore_index} is the ignore_index: {_ALL_IGNORED}' if is_all else None
    for path, note in ignored.items():
        findings.add('all_ignored', split, path, note, todo=todo)
    advice = _range_advice(wrong, labels, rules) if wrong else ''
    for path, bad in wrong.items():
        named = [f'{value} ({pixels} px)' for value, pixels in list(bad.items())[:_MOST_NAMED]]
        more = f' and {len(bad) - _MOST_NAMED} more values' if len(bad) > _MOST_NAMED else ''
        findings.add('value_out_of_range', split, path, ', '.join(named) + more, todo=advice)


def add_absent_classes(
    findings: Findings,
    split: str,
    rules: LabelRules,
    statistics: Statistics,
    is_sample: bool = False,
) -> None:
    """Find classes without a pixel in a split, unless many of its labels are read wrongly.

    Args:
        findings: Gets them; has those of the labels already.
        split: Its name.
        rules: What label values mean.
        statistics: The split's counts.
        is_sample: Whether they are of a part of the split only.
    """
    num_labels = statistics.label_forms.total()
    if not num_labels or findings.num_files(_MISREAD, split) > _FEW * num_labels:
        return
    last = len(rules.classes or ()) - 1
    if not any(statistics.pixels[index] for index in range(last + 1)):
        return  # all is ignored, which is a finding already
    found = dict(sorted(statistics.values.items()))
    absent = [index for index in range(last + 1) if not statistics.pixels[index]]
    for index in absent:
        note = f'the labels hold {_values(found)} only' if len(found) <= _MOST_NAMED else ''
        todo, why = None, None
        if is_sample:
            why = f'It is in none of the {num_labels} labels looked at: it is rare, or is misread.'
        if index == last and rules.reduce_zero_label and 0 in found:
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
        findings.add(
            'class_never_occurs', split, f'class {index} {rules.classes[index]!r}', note, why, todo
        )


def add_rule_differences(findings: Findings, sources: Sequence[Source]) -> None:
    """Find data sets that read label files in another way than the same kind of set in training."""
    for source in sources:
        same = [s.rules for s in sources if s.split == 'train' and s.who == source.who]
        for name in ('label_map', 'reduce_zero_label'):
            trained = [getattr(rules, name) for rules in same]
            value = getattr(source.rules, name)
            if trained and value not in trained:
                note = f'is {value!r}, but {trained[0]!r} in data.train'
                findings.add('rules_differ', source.split, f'{name} of {source.who}', note)


def _is_right(value: int, label: LabelScan, rules: LabelRules) -> bool:
    meaning = rules.meaning(value, label.is_colour)
    return meaning is not None and rules.is_right(meaning)


def _find_white(labels: Mapping[str, LabelScan], rules: LabelRules) -> set[str]:
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
    if not others:  # all of 255 and nothing else tells nothing of what it means
        has_zero = any(0 in values for values in plain.values())
        return {path for path, values in plain.items() if _WHITE in values and has_zero}
    return {path for path, values in plain.items() if values == {0, _WHITE}}


def _white_advice(rules: LabelRules) -> str:
    zero = ', and reduce_zero_label=False' if rules.reduce_zero_label else ''
    return f'If 255 marks class 1, set label_map={{255: 1}}{zero}.'


def _range_advice(
    wrong: Mapping[str, Mapping[int, int]], labels: Mapping[str, LabelScan], rules: LabelRules
) -> str:
    """Return what to do about values that are no class, by how many files have which."""
    bad = sorted({value for values in wrong.values() for value in values})
    counts = sum((Counter(label.values) for label in labels.values()), Counter())
    every = sorted(counts)
    num_classes = len(rules.classes or ())
    kept = [value for value in every if value != rules.ignore_index]
    in_order = next((v for v in (every, kept) if len(v) == num_classes > 1), None)
    if len(wrong) <= _FEW * len(labels):
        return (
            f'Only {len(wrong)} of {len(labels)} labels have such values: correct these files, or '
            f'leave those pixels out with label_map={{{_first(bad)}: {rules.ignore_index}}}.'
        )
    if num_classes == 2 and not (rules.label_map or in_order):
        many = _many_values_advice(counts, any(label.num_lumped for label in labels.values()))
        if many:
            return many
    if bad == [num_classes] and not rules.reduce_zero_label:
        if 0 not in every:
            return (
                f'The values are {every[0]} to {bad[0]}: if class 0 is stored as 1 and so on, set '
                'reduce_zero_label=True.'
            )
        return (
            f'If 0 stands for no class and classes count from 1, set reduce_zero_label=True; if '
            f'{bad[0]} is a class, add its name to the classes.'
        )
    if in_order and not rules.label_map:
        shown = ', '.join(f'{value}: {i}' for i, value in enumerate(in_order) if value != i)
        return (
            f'There are as many values as classes: if they are in order, set label_map={{{shown}}}.'
        )
    return (
        f'Say what they mean with label_map={{{_first(bad)}: …}}, ignore them with '
        f'label_map={{{_first(bad)}: {rules.ignore_index}}}, or add the missing classes.'
    )


def _many_values_advice(counts: Counter[int], is_lumped: bool) -> str:
    """Return what to do about more values than the two classes; empty when that is not so.

    Args:
        counts: Pixels by value, of all labels.
        is_lumped: Whether there are more values.
    """
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
    return 'So many values are of a picture: correct ann_dir and seg_map_suffix.'


def _first(values: list[int]) -> str:
    return str(values[0]) if values else 'VALUE'


def _values(values: Mapping[int, int]) -> str:
    return ', '.join(map(str, list(values)[:_MOST_NAMED]))
