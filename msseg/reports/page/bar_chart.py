"""How values are spread, as SVG."""

from __future__ import annotations

from html import escape

import numpy as np

_BINS = 20
_WIDTH, _HEIGHT = 560, 190
_LEFT, _RIGHT, _BOTTOM, _TOP = 48, 18, 40, 14


def histogram(shares: np.ndarray, x_label: str, y_label: str) -> str:
    """Return how many values there are in each twentieth of [0, 1].

    Args:
        shares: Values in [0, 1].
        x_label: What they are.
        y_label: What is counted.
    """
    counts, _ = np.histogram(shares, _BINS, (0, 1))
    tallest = max(int(counts.max()), 1)
    width = (_WIDTH - _LEFT - _RIGHT) / _BINS
    base = _HEIGHT - _BOTTOM
    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" style="max-width:{_WIDTH}px" '
        f'role="img" aria-label="{escape(y_label)} by {escape(x_label)}">',
        f'<text x="{_LEFT - 6}" y="{_TOP + 6}" text-anchor="end">{tallest}</text>',
        f'<text x="{_LEFT - 6}" y="{base}" text-anchor="end">0</text>',
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>',
    ]
    for i, count in enumerate(counts):
        height = (base - _TOP) * count / tallest
        low, high = 100 * i / _BINS, 100 * (i + 1) / _BINS
        parts.append(
            f'<rect x="{_LEFT + i * width + 1:.1f}" y="{base - height:.1f}" '
            f'width="{width - 2:.1f}" height="{height:.1f}"><title>{low:g} to {high:g}: {count} '
            f'{escape(y_label)}</title></rect>'
        )
    for i in range(0, _BINS + 1, _BINS // 5):
        parts.append(
            f'<text x="{_LEFT + i * width:.1f}" y="{base + 16}" text-anchor="middle">'
            f'{100 * i // _BINS}</text>'
        )
    middle, height = (_LEFT + _WIDTH - _RIGHT) / 2, (base + _TOP) / 2
    parts.append(
        f'<text x="14" y="{height:.0f}" text-anchor="middle" '
        f'transform="rotate(-90 14 {height:.0f})">{escape(y_label)}</text>'
    )
    parts.append(
        f'<text x="{middle:.0f}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>'
    )
    return f'<figure>{"".join(parts)}</svg></figure>'
