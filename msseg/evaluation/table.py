"""Scores as text tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

from terminaltables import AsciiTable

from msseg.evaluation.metrics import Scores


def format_scores(scores: Scores) -> str:
    """Return the per-class table and the summary table, in percent; n/a without labelled pixels.

    Confidence intervals are a column of the first, and the last line of the second.
    """
    intervals = scores.intervals
    between = [] if intervals is None else [f'IoU, {100 * intervals.level:g} %']
    rows = [['Class', *scores.per_class, *between, 'Pixels']]
    for index, name in enumerate(scores.classes):
        values = [percent(column[index]) for column in scores.per_class.values()]
        values += [] if intervals is None else [interval(intervals.iou[index])]
        rows.append([name, *values, f'{int(scores.num_pixels[index])}'])
    summary = scores.summary()
    per_class = AsciiTable(rows)
    lines = [list(summary), [percent(value) for value in summary.values()]]
    if intervals is not None:
        known = {'mIoU': intervals.mean_iou, 'aAcc': intervals.accuracy}
        lines.append([interval(known[name]) if name in known else '' for name in summary])
    overall = AsciiTable(lines)
    for table, width in ((per_class, len(rows[0])), (overall, len(summary))):
        table.justify_columns = dict.fromkeys(range(1, width), 'right')
    overall.justify_columns[0] = 'right'
    return f'per class results:\n\n{per_class.table}\n\nSummary:\n\n{overall.table}'


def percent(fraction: float) -> str:
    """Return a fraction as percent with two decimals, n/a for NaN."""
    return 'n/a' if math.isnan(fraction) else f'{100 * fraction:.2f}'


def interval(pair: Sequence[float]) -> str:
    """Return an interval in percent, such as ``71.20 to 74.05``, n/a for NaN."""
    return 'n/a' if math.isnan(pair[0]) else f'{percent(pair[0])} to {percent(pair[1])}'
