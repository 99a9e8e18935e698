"""Lines over a run, as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

_COLOURS = ('#2563eb', '#ea580c', '#059669', '#9333ea', '#dc2626', '#0891b2', '#ca8a04', '#4b5563')
_WIDTH, _HEIGHT = 560, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 14, 14, 42
_MOST_DOTS = 60


@dataclass(frozen=True)
class Line:
    """A line.

    Attributes:
        name: For the legend.
        x: Places.
        y: Values; None and NaN leave a gap.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]

    def points(self) -> list[tuple[float, float]]:
        """Return the places that have values."""
        return [
            (x, y)
            for x, y in zip(self.x, self.y, strict=True)
            if y is not None and math.isfinite(y)
        ]


def line_chart(lines: Sequence[Line], x_label: str, y_label: str, from_zero: bool = True) -> str:
    """Return lines in one pair of axes, with a legend where they are several.

    Args:
        lines: At least one value among them.
        x_label: What the horizontal axis counts.
        y_label: What is drawn.
        from_zero: The vertical axis begins at 0, if no value is below.
    """
    points = [point for line in lines for point in line.points()]
    low_y = min(y for _, y in points)
    x_ticks = ticks(min(x for x, _ in points), max(x for x, _ in points))
    y_ticks = ticks(min(low_y, 0) if from_zero else low_y, max(y for _, y in points))
    scale_x = _scale(x_ticks, _LEFT, _WIDTH - _RIGHT)
    scale_y = _scale(y_ticks, _HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(y_label)} over {escape(x_label)}">'
    ]
    parts += _axes(x_ticks, y_ticks, scale_x, scale_y, x_label)
    for index, line in enumerate(lines):
        colour = _COLOURS[index % len(_COLOURS)]
        found = [(scale_x(x), scale_y(y), x, y) for x, y in line.points()]
        path = ' '.join(f'{x:.1f},{y:.1f}' for x, y, _, _ in found)
        parts.append(f'<polyline points="{path}" stroke="{colour}"/>')
        if len(found) <= _MOST_DOTS:
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}">'
                f'<title>{escape(line.name)} {_exact(value)} at {_exact(place)}</title></circle>'
                for x, y, place, value in found
            ]
    names = ''.join(
        f'<span><i style="background:{_COLOURS[i % len(_COLOURS)]}"></i>{escape(line.name)}</span>'
        for i, line in enumerate(lines)
    )
    return f'<figure>{"".join(parts)}</svg><div class="legend">{names}</div></figure>'


def _axes(
    x_ticks: list[float],
    y_ticks: list[float],
    scale_x: Callable[[float], float],
    scale_y: Callable[[float], float],
    x_label: str,
) -> list[str]:
    parts = []
    for value in y_ticks:
        y = scale_y(value)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_short(value)}</text>'
        )
    for value in x_ticks:
        x, y = scale_x(value), _HEIGHT - _BOTTOM
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{y}"/>'
            f'<text x="{x:.1f}" y="{y + 18}" text-anchor="middle">{_short(value)}</text>'
        )
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2:.0f}" y="{_HEIGHT - 6}" text-anchor="middle">'
        f'{escape(x_label)}</text>'
    )
    return parts


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers, evenly spaced, from at most `low` to at least `high`."""
    if high <= low:
        low, high = low - (abs(low) * 0.1 or 0.5), high + (abs(high) * 0.1 or 0.5)
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(f * power for f in (1, 2, 2.5, 5, 10) if f * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _scale(ticks_: list[float], start: float, stop: float) -> Callable[[float], float]:
    low, high = ticks_[0], ticks_[-1]
    return lambda value: start + (value - low) / (high - low) * (stop - start)


def _short(value: float) -> str:
    return f'{value / 1000:g}k' if abs(value) >= 10000 else f'{value:g}'


def _exact(value: float) -> str:
    return f'{value:.5g}' if value != int(value) else f'{int(value)}'
