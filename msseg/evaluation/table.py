"""Scores as text tables."""

from __future__ import annotations

import math

from terminaltables import AsciiTable

from msseg.evaluation.metrics import Scores


def format_scores(scores: Scores) -> str:
    """Return the per-class table and the summary table, in percent; n/a without labelled pixels."""
    rows = [['Class', *scores.per_class, 'Pixels']]
    for index, name in enumerate(scores.classes):
        values = [percent(column[index]) for column in scores.per_class.values()]
        rows.append([name, *values, f'{int(scores.num_pixels[index])}'])
    summary = scores.summary()
    per_class = AsciiTable(rows)
    overall = AsciiTable([list(summary), [percent(value) for value in summary.values()]])
    for table, width in ((per_class, len(rows[0])), (overall, len(summary))):
        table.justify_columns = dict.fromkeys(range(1, width), 'right')
    overall.justify_columns[0] = 'right'
    return f'per class results:\n\n{per_class.table}\n\nSummary:\n\n{overall.table}'


def percent(fraction: float) -> str:
    """Return a fraction as percent with two decimals, n/a for NaN."""
    return 'n/a' if math.isnan(fraction) else f'{100 * fraction:.2f}'
