"""Small parts of a page: figures in cards, facts, a legend of classes, pictures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import cv2
import numpy as np

_JPEG_QUALITY = 85


def cards(values: Sequence[tuple[str, str]]) -> str:
    """Return figures, large, each above what it is called.

    Args:
        values: Name and figure.
    """
    return (
        '<div class="cards">'
        + ''.join(f'<div><b>{escape(v)}</b><span>{escape(k)}</span></div>' for k, v in values)
        + '</div>'
    )


def facts(values: Sequence[tuple[str, str]]) -> str:
    """Return names and what they are, line by line."""
    return (
        '<dl>' + ''.join(f'<dt>{escape(k)}</dt><dd>{escape(v)}</dd>' for k, v in values) + '</dl>'
    )


def legend(names: Sequence[str], palette: Sequence[Sequence[int] | None], title: str = '') -> str:
    """Return names beside their colours, after a title."""
    before = f'<b>{escape(title)}</b>' if title else ''
    items = (
        f'<span>{swatch(colour)}{escape(name)}</span>'
        for name, colour in zip(names, palette, strict=False)
    )
    return f'<div class="legend">{before}{"".join(items)}</div>'


def swatch(colour: Sequence[int] | None) -> str:
    """Return a small square of an RGB colour, crossed out without one."""
    if colour is None:
        return '<i class="no-tint" title="not tinted"></i>'
    r, g, b = (int(value) for value in colour)
    return f'<i style="background:rgb({r},{g},{b})"></i>'


def picture(image: np.ndarray, alt: str, longest: int | None = None, lossless: bool = False) -> str:
    """Return a picture, its bytes inside the page.

    Args:
        image: BGR uint8 (h, w, 3).
        alt: What it shows.
        longest: Make it smaller where its longer side has more pixels than this.
        lossless: As PNG, for flat colours; else as JPEG.

    Returns:
        An ``img`` element.
    """
    h, w = image.shape[:2]
    if longest is not None and max(h, w) > longest:
        factor = longest / max(h, w)
        size = max(round(w * factor), 1), max(round(h * factor), 1)
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    options = [] if lossless else [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _, data = cv2.imencode('.png' if lossless else '.jpg', image, options)
    kind = 'png' if lossless else 'jpeg'
    text = base64.b64encode(data.tobytes()).decode('ascii')
    return (
        f'<img src="data:image/{kind};base64,{text}" alt="{escape(alt)}" '
        f'width="{image.shape[1]}" height="{image.shape[0]}">'
    )
