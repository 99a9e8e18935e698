"""Blend overlapping tiles of a large image, with memory for one row of overlaps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

# argmax over the first axis copies its input: this number of rows at a time
_ROWS_AT_ONCE = 64

TileProbabilities = Callable[[np.ndarray], np.ndarray]
ReadRows = Callable[[int, int], np.ndarray]


@dataclass(frozen=True)
class Span:
    """Where a tile stands along one axis.

    Attributes:
        start: Its first pixel.
        stop: The one after its last.
        before: Pixels [first, last) that it shares with the tile before; the first ones of a row
            or column share none.
        after: Those that it shares with the tile after.
    """

    start: int
    stop: int
    before: tuple[int, int]
    after: tuple[int, int]

    @property
    def own(self) -> slice:
        """What is finished with this tile: from the zone before it, up to the zone after it."""
        return slice(self.before[0], self.after[0])

    def cut(self, tile: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """Return what of a tile's array is finished with it, and what it shares with the next."""
        places = [place - self.start for place in (self.before[0], *self.after)]
        return tuple(np.split(tile, places, axis)[1:3])


def spans(length: int, tile: int, overlap: int) -> list[Span]:
    """Return evenly spread tiles that cover an axis.

    Neighbours overlap by `overlap` pixels or, to come out even, more; then they are blended over
    `overlap` pixels in the middle of that.

    Args:
        length: Of the axis.
        tile: Of a tile; all are of this length, or of `length` when that is shorter.
        overlap: At most a third of `tile`.
    """
    if length <= tile:
        return [Span(0, length, (0, 0), (length, length))]
    count = -(-(length - overlap) // (tile - overlap))
    starts = [round(i * (length - tile) / (count - 1)) for i in range(count)]
    firsts = [(start + tile + after - overlap) // 2 for start, after in pairwise(starts)]
    zones = [(0, 0), *((first, first + overlap) for first in firsts), (length, length)]
    return [Span(start, start + tile, zones[i], zones[i + 1]) for i, start in enumerate(starts)]


def check_tiling(tile: Sequence[int], overlap: int) -> None:
    """Raise ValueError unless tiles of this size can overlap so far."""
    if any(size < 1 for size in tile):
        raise ValueError(f'--tile is {list(tile)}, expected height and width, both above 0')
    if not 0 <= overlap <= min(tile) // 3:
        raise ValueError(
            f'--overlap is {overlap}, expected 0 to {min(tile) // 3}, a third of the shorter side '
            f'of --tile {tile[0]} {tile[1]}'
        )


def blended_rows(
    read_rows: ReadRows,
    size: tuple[int, int],
    probabilities: TileProbabilities,
    tile: tuple[int, int],
    overlap: int,
    finish: Callable[[slice, slice, np.ndarray], None],
    on_tile: Callable[[], None] = lambda: None,
) -> Iterator[slice]:
    """Compute class probabilities tile by tile and hand finished parts on.

    In an overlap the two tiles' probabilities are mixed, from all of one to all of the other with
    the distance, along rows and along columns. Kept are one tile and the overlaps with the tiles
    to come: num_classes x overlap x width numbers of 16 bits, and as many as a tile is high.

    Args:
        read_rows: Gives the image's rows [top, bottom).
        size: The image's (h, w).
        probabilities: Gives (num_classes, h, w) float32 for a tile of the image.
        tile: The tiles' (h, w).
        overlap: See `spans`.
        finish: Called with the rows and columns of a finished part and its probabilities.
        on_tile: Called after each tile.

    Yields:
        Rows that are finished over the whole width, from the top.
    """
    columns = spans(size[1], tile[1], overlap)
    above: np.ndarray | None = None
    for row in spans(size[0], tile[0], overlap):
        image = read_rows(row.start, row.stop)
        left: np.ndarray | None = None
        for column in columns:
            found = probabilities(image[:, column.start : column.stop])
            found = np.require(found, requirements='W')
            part, after = column.cut(found, axis=2)
            _mix(left, part, column.before, axis=2)
            left = after.copy()
            inside, below = row.cut(part, axis=1)
            waiting = None if above is None else above[:, :, column.own]
            _mix(waiting, inside, row.before, axis=1)
            finish(row.own, column.own, inside)
            if below.shape[1]:
                if above is None:
                    above = np.empty((len(found), overlap, size[1]), np.float16)
                above[:, :, column.own] = below
            on_tile()
        yield row.own


def _mix(old: np.ndarray | None, new: np.ndarray, zone: tuple[int, int], axis: int) -> None:
    """Blend `old` into the first pixels of `new`, from all of `old` to all of `new`."""
    length = zone[1] - zone[0]
    if old is None or not length:
        return
    share = 1 - (np.arange(length, dtype=np.float32) + 0.5) / length
    if axis == 1:
        new, share = new[:, :length], share[:, None]
    else:
        new = new[:, :, :length]
    for before, after in zip(old, new, strict=True):  # by class: temporary arrays stay small
        after += (before.astype(np.float32) - after) * share


def decide_in_pieces(
    decide: Callable[[np.ndarray], np.ndarray], probabilities: np.ndarray, labels: np.ndarray
) -> None:
    """Write the labels that probabilities mean into an array, a few rows at a time."""
    for top in range(0, labels.shape[0], _ROWS_AT_ONCE):
        rows = slice(top, top + _ROWS_AT_ONCE)
        labels[rows] = decide(probabilities[:, rows])
