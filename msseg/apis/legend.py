"""Legends: class names with their colours, below a picture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from msseg.apis.fonts import drawable_names, fonts_for

_PAPER, _FRAME = (255, 255, 255), 128
# A legend's text in pixels: a share of the image's longer side, within limits.
_TEXT_SHARE, _SMALLEST_TEXT, _LARGEST_TEXT = 1 / 64, 12, 48
# How much of the image's height a legend may add: a share, but always some lines.
_LEGEND_SHARE, _LEGEND_LINES = 1 / 3, 4


@lru_cache(maxsize=64)
def draw_legend(
    names: tuple[str, ...],
    colours: tuple[tuple[int, int, int] | None, ...],
    is_present: tuple[bool, ...] | None,
    size: tuple[int, int],
) -> np.ndarray:
    """Return a legend, BGR uint8 (n, w, 3), of the same height for all pictures of a size.

    Args:
        names: Names of the classes, in any script.
        colours: RGB of each; the box of a class without a colour is crossed out.
        is_present: Which classes are in the picture: without room for all, only these are named.
        size: The picture's (h, w).
    """
    names = drawable_names(names)
    text = int(np.clip(max(size) * _TEXT_SHARE, _SMALLEST_TEXT, _LARGEST_TEXT))
    line, margin = text * 3 // 2, max(text // 3, 2)
    room = size[1] - 2 * margin
    entries = [_Entry(_shorten(n, text, room), c) for n, c in zip(names, colours, strict=True)]
    rows = _rows(entries, text, room)
    most = max(int(size[0] * _LEGEND_SHARE) // line, _LEGEND_LINES)
    # the height does not depend on the content of the picture
    count = len(rows) if len(rows) <= most else max(most // 2, _LEGEND_LINES)
    if len(rows) > most:
        is_present = is_present or (True,) * len(names)
        entries = [entry for entry, is_there in zip(entries, is_present, strict=True) if is_there]
        rows = _rows(entries, text, room)
    if len(rows) > count:
        left_out = sum(map(len, rows[count:])) + 1
        rows[count - 1][-1] = _Entry(f'… {left_out} more', _PAPER)
    height = count * line + 2 * margin
    height += (size[0] + height) % 2  # many video codecs need an even height
    strip = np.full((height, size[1], 3), 255, np.uint8)
    for number, row in enumerate(rows[:count]):
        x = margin
        for entry in row:
            _draw_entry(strip, x, margin + number * line, entry, text)
            x += entry.width(text)
    strip.setflags(write=False)
    return strip


class _Entry(NamedTuple):
    name: str
    colour: tuple[int, int, int] | None

    def width(self, text: int) -> int:
        return _text_mask(self.name, text).shape[1] + 3 * text


def _shorten(name: str, text: int, room: int) -> str:
    shown = name
    while len(shown) > 2 and _Entry(shown, None).width(text) - text > room:
        shown = shown[:-2] + '…'
    return shown


def _rows(entries: Sequence[_Entry], text: int, room: int) -> list[list[_Entry]]:
    """Divide entries into lines; the last of a line needs no blank after it."""
    rows: list[list[_Entry]] = [[]]
    used = 0
    for entry in entries:
        width = entry.width(text)
        if rows[-1] and used + width - text > room:
            rows.append([])
            used = 0
        rows[-1].append(entry)
        used += width
    return rows


def _draw_entry(strip: np.ndarray, x: int, top: int, entry: _Entry, text: int) -> None:
    box = strip[top + text // 4 : top + text // 4 + text, x : x + text]
    box[:] = _FRAME if entry.colour != _PAPER else 255
    box[1:-1, 1:-1] = 255 if entry.colour is None else entry.colour[::-1]
    if entry.colour is None:
        cv2.line(box, (1, text - 2), (text - 2, 1), (_FRAME,) * 3, 1, cv2.LINE_AA)
    mask = _text_mask(entry.name, text)
    place = strip[top : top + len(mask), x + text * 3 // 2 :][:, : mask.shape[1]]
    ink = mask[: len(place), : place.shape[1], None].astype(np.float32) / 255
    place[:] = np.rint(place * (1 - ink))


@lru_cache(maxsize=1024)
def _text_mask(text: str, size: int) -> np.ndarray:
    """Return the ink of each pixel of a line of text, uint8 (1.5 size, w)."""
    with fonts_for([text]):
        figure = Figure(dpi=72)
        canvas = FigureCanvasAgg(figure)
        drawn = figure.text(0, 0, text, fontsize=size)
        width = int(np.ceil(drawn.get_window_extent(canvas.get_renderer()).width)) + 2
        figure.set_size_inches(width / 72, size * 3 // 2 / 72)
        drawn.set_position((1 / width, 1 / 3))
        canvas.draw()
        return 255 - np.asarray(canvas.buffer_rgba())[..., 0]
