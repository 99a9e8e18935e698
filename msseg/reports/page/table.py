"""Tables that a click on a column's head sorts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Cell:
    """A cell.

    Attributes:
        text: What it shows.
        value: What it is sorted by; a number, NaN always last. None sorts by the text.
        bar: Length of a bar behind it, in [0, 1].
        before: HTML in front of the text.
    """

    text: str
    value: float | None = None
    bar: float | None = None
    before: str = ''

    @classmethod
    def percent(cls, fraction: float) -> Cell:
        """A share, in percent with a bar; NaN is n/a."""
        if math.isnan(fraction):
            return cls('n/a', fraction)
        return cls(f'{100 * fraction:.2f}', fraction, fraction)

    @classmethod
    def count(cls, number: int) -> Cell:
        """A whole number."""
        return cls(f'{number:,}', number)


def table(head: Sequence[str], rows: Sequence[Sequence[Cell]], name: str) -> str:
    """Return a table.

    Args:
        head: The columns' names.
        rows: Their cells.
        name: What it is called by scripts, its ``id``.
    """
    columns = ''.join(
        f'<th aria-sort="none"{_numeric(rows, i)}><button type="button">{escape(title)}</button>'
        '</th>'
        for i, title in enumerate(head)
    )
    body = '\n'.join(f'<tr>{"".join(map(_cell, row))}</tr>' for row in rows)
    return (
        f'<div class="scroll"><table class="sortable" id="{escape(name)}"><thead><tr>{columns}</tr>'
        f'</thead><tbody>{body}</tbody></table></div>'
    )


def _numeric(rows: Sequence[Sequence[Cell]], column: int) -> str:
    return ' class="number"' if rows and rows[0][column].value is not None else ''


def _cell(cell: Cell) -> str:
    attributes = ''
    if cell.value is not None:
        shown = '' if math.isnan(cell.value) else f'{cell.value:.12g}'
        attributes = f' class="number" data-value="{shown}"'
    if cell.bar is not None:
        share = min(max(cell.bar, 0), 1)
        attributes = attributes.replace('number', 'number bar')
        attributes += f' style="--share:{100 * share:.1f}%"'
    return f'<td{attributes}>{cell.before}{escape(cell.text)}</td>'
