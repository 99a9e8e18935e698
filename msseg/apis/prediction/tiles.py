"""A large image in overlapping tiles that are blended, with memory for one row of overlaps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

# argmax over the first axis copies what it works on: so many rows at a time
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
    zones = [(0, 0)]
    for start, following in zip(starts, starts[1:], strict=False):
        shared = start + tile - following
        first = following + (shared - overlap) // 2
        zones.append((first, first + overlap))
    zones.append((length, length))
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
            part = found[:, :, column.own.start - column.start : column.own.stop - column.start]
            width = column.before[1] - column.before[0]
            if left is not None and width:
                _mix(left, part[:, :, :width], axis=2)
            after = slice(column.after[0] - column.start, column.after[1] - column.start)
            left = found[:, :, after].copy()
            height = row.before[1] - row.before[0]
            part = part[:, row.own.start - row.start :]
            if above is not None and height:
                _mix(above[:, :height, column.own], part[:, :height], axis=1)
            own = row.own.stop - row.own.start
            finish(row.own, column.own, part[:, :own])
            below = part[:, own : own + row.after[1] - row.after[0]]
            if below.shape[1]:
                if above is None:
                    above = np.empty((len(found), overlap, size[1]), np.float16)
                above[:, :, column.own] = below
            on_tile()
        yield row.own


def _mix(old: np.ndarray, new: np.ndarray, axis: int) -> None:
    """Blend `old` into `new`, from all of `old` to all of `new` along an axis."""
    length = new.shape[axis]
    share = ((np.arange(length, dtype=np.float32) + 0.5) / length).reshape(
        [-1 if i == axis else 1 for i in range(3)]
    )
    for i in range(len(new)):  # one class at a time: temporary arrays stay small
        new[i] += (old[i].astype(np.float32) - new[i]) * (1 - share[0])


def decide_in_pieces(
    decide: Callable[[np.ndarray], np.ndarray], probabilities: np.ndarray, labels: np.ndarray
) -> None:
    """Write the labels that probabilities mean into an array, a few rows at a time."""
    for top in range(0, labels.shape[0], _ROWS_AT_ONCE):
        rows = slice(top, top + _ROWS_AT_ONCE)
        labels[rows] = decide(probabilities[:, rows])
