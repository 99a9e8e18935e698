"""Annotations as all formats have them in memory, and the label maps that are painted from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from msseg.utils.errors import UserValueError

IGNORED = 255
FARTHEST_PX = 1e9  # coordinates beyond it are no pixels of any image
_SLACK_PX = 0.01  # tools round coordinates


class Patch(NamedTuple):
    """A part of a mask.

    Attributes:
        top: Its first row in the image.
        left: Its first column.
        mask: (h, w) bool.
    """

    top: int
    left: int
    mask: np.ndarray


@dataclass(frozen=True)
class Shape:
    """An object of an image.

    Attributes:
        label: Name of its class.
        where: Which one it is, for messages, such as ``shape 3``.
        rings: Polygons (n, 2) of x, y in pixels; the object is all that one of them encloses.
        patch: Its mask, in place of `rings`.
        is_ignored: Its pixels do not count.
        z: Objects of higher numbers lie above others.
    """

    label: str
    where: str
    rings: Sequence[np.ndarray] = ()
    patch: Patch | None = None
    is_ignored: bool = False
    z: int = 0


@dataclass
class Sample:
    """An annotated image.

    Attributes:
        file: The file of its annotations.
        image: Its name there, or its path.
        shapes: Its objects, the lowest first.
        mask: The file of its label, in place of `shapes`.
        size: (h, w) by its annotations; None where they have none.
        split: ``train`` or ``val``, where the source divides its images.
        near: Folders that the name of the image may start from.
        other_names: More names that the image may have, the likeliest first.
    """

    file: Path
    image: str
    shapes: Sequence[Shape] = ()
    mask: Path | None = None
    size: tuple[int, int] | None = None
    split: str | None = None
    near: Sequence[Path] = ()
    other_names: Sequence[str] = ()

    @property
    def who(self) -> str:
        """What leads messages about it."""
        own = '' if Path(self.image).stem == self.file.stem else f' ({self.image})'
        return f'{self.file}{own}'


class Notes:
    """What was left out, clipped or guessed: counted by kind, each with its first place."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, text: str, where: object = '') -> None:
        """Count a note; `text` is the same for all of its kind."""
        self._counts[text] += 1
        self._first.setdefault(text, str(where))

    def lines(self) -> list[str]:
        """Return a line for each kind."""
        lines = []
        for text, count in self._counts.items():
            times = f' ({count} times)' if count > 1 else ''
            first = f', {"first in" if count > 1 else "in"} {self._first[text]}'
            lines.append(f'{text}{times}{first if self._first[text] else ""}')
        return lines


@dataclass
class Annotations:
    """What a source holds.

    Attributes:
        samples: The images.
        classes: Names of the classes in the order of the source; None where it has no list.
        classes_from: Where that order stands, for the report.
        by_area: Of shapes that overlap, the smaller ones lie above; otherwise the later ones.
        label_map: From file values or (r, g, b) colours to class indices, of masks.
        palette: RGB colours of `classes`, where the source has them.
        indexed: Labels are masks of class indices, so no background is added to `classes`.
    """

    samples: list[Sample]
    classes: list[str] | None = None
    classes_from: str = ''
    by_area: bool = False
    label_map: dict | None = None
    palette: list[tuple[int, int, int]] | None = None
    indexed: bool = False
    notes: Notes = field(default_factory=Notes)


def read_ring(points: Any, who: str) -> np.ndarray:
    """Return a polygon's corners.

    Args:
        points: (x, y) of each.
        who: The file and the shape, for errors.

    Returns:
        (n, 2) float64; without corners that repeat the one before.

    Raises:
        ValueError: Fewer than three corners, or numbers that are no pixels.
    """
    ring = read_points(points, who)
    ring = ring[(ring != np.roll(ring, 1, axis=0)).any(axis=1)]
    if len(np.unique(ring, axis=0)) < 3:
        raise UserValueError(
            f'{who}: a polygon of {len(points)} points encloses nothing',
            expected='three different points or more',
        )
    return ring


def read_points(points: Any, who: str) -> np.ndarray:
    """Return (n, 2) float64; ValueError unless they are pairs of numbers that may be pixels."""
    try:
        array = np.array(points, np.float64)
    except (ValueError, TypeError, OverflowError):
        array = np.empty(0)
    if array.ndim != 2 or array.shape[1] != 2:
        raise UserValueError(
            key='points', got=points, expected='pairs of numbers [[x, y], …]', who=who
        )
    if not (np.abs(array) <= FARTHEST_PX).all():  # nor NaN
        raise UserValueError(
            key='points', got=points, expected=f'pixels of at most {FARTHEST_PX:g}', who=who
        )
    return array


def ellipse(centre: Sequence[float], radii: Sequence[float], degrees: float = 0) -> np.ndarray:
    """Return an ellipse as a polygon of 128 corners: (x, y) of its centre, radii along x and y."""
    angle = np.arange(128) * (2 * np.pi / 128)
    corners = np.stack([np.cos(angle), np.sin(angle)], 1) * radii
    return turned(corners, degrees) + centre


def turned(points: np.ndarray, degrees: float) -> np.ndarray:
    """Return points turned around the origin, clockwise as seen (y points down)."""
    angle = np.deg2rad(degrees)
    return points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def fill_ring(ring: np.ndarray, size: tuple[int, int]) -> Patch:
    """Return the pixels whose centres a polygon encloses.

    Pixel (x, y) has its centre at (x + 0.5, y + 0.5). What the polygon encloses an even number of
    times is outside, so an edge to a hole and back cuts the hole out. Neither the order of the
    corners nor the size of the image changes the result. Kept by hand: OpenCV and Pillow also
    paint the pixels that edges touch, so objects grow by half a pixel on all sides.

    Args:
        ring: (n, 2) of x, y.
        size: (h, w) of the image; what is outside is left out.
    """
    low, high = (
        np.clip(np.ceil(edge - 0.5), 0, size[::-1]).astype(np.int64)
        for edge in (ring.min(axis=0), ring.max(axis=0))
    )
    (left, top), (right, bottom) = low.tolist(), high.tolist()
    start, end = ring, np.roll(ring, -1, axis=0)
    falls = (start[:, 1] > end[:, 1])[:, None]  # each edge downwards: both directions cross alike
    (x0, y0), (x1, y1) = np.where(falls, end, start).T, np.where(falls, start, end).T
    first = np.clip(np.ceil(y0 - 0.5), top, bottom).astype(np.int64)
    count = np.clip(np.ceil(y1 - 0.5), top, bottom).astype(np.int64) - first
    edge = np.repeat(np.arange(len(ring)), count)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    share = (row + 0.5 - y0[edge]) / (y1 - y0)[edge]
    crossing = x0[edge] + share * (x1 - x0)[edge]
    column = np.clip(np.ceil(crossing - 0.5), left, right).astype(np.int64)
    changes = np.zeros((bottom - top, right - left + 1), np.uint8)
    np.bitwise_xor.at(changes, (row - top, column - left), 1)
    return Patch(top, left, np.bitwise_xor.accumulate(changes, axis=1)[:, :-1].astype(bool))


def paint(
    shapes: Sequence[Shape],
    size: tuple[int, int],
    index_of: Mapping[str, int],
    background: int,
    by_area: bool,
    notes: Notes,
    who: str,
) -> np.ndarray:
    """Paint shapes into a label map.

    Args:
        shapes: The objects, the lowest first.
        size: (h, w) of the image.
        index_of: The value of each label.
        background: The value of pixels without an object.
        by_area: Paint objects of more pixels first; equal ones in their order.
        notes: Takes what is clipped, and shapes without a pixel.
        who: The file, for notes.

    Returns:
        (h, w) uint8.
    """
    patches = [_patch_of(shape, size, notes, who) for shape in shapes]
    areas = [int(patch.mask.sum()) for patch in patches]
    order: Iterable[int] = range(len(shapes))
    if by_area:
        order = sorted(order, key=lambda i: -areas[i])
    label = np.full(size, background, np.uint8)
    for i in order:
        top, left, mask = patches[i]
        if not areas[i]:
            notes.add('a shape holds the centre of no pixel and is left out', f'{who}, {i + 1}')
        value = IGNORED if shapes[i].is_ignored else index_of[shapes[i].label]
        label[top : top + mask.shape[0], left : left + mask.shape[1]][mask] = value
    return label


def _patch_of(shape: Shape, size: tuple[int, int], notes: Notes, who: str) -> Patch:
    if shape.patch is not None:
        return _clipped(shape.patch, size, notes, f'{who}, {shape.where}')
    limit = np.array(size[::-1]) + _SLACK_PX
    if any((ring < -_SLACK_PX).any() or (ring > limit).any() for ring in shape.rings):
        notes.add('a shape reaches beyond its image and is clipped', f'{who}, {shape.where}')
    patches = [fill_ring(ring, size) for ring in shape.rings]
    if len(patches) == 1:
        return patches[0]
    whole = np.zeros(size, bool)
    for top, left, mask in patches:
        whole[top : top + mask.shape[0], left : left + mask.shape[1]] |= mask
    return Patch(0, 0, whole)


def _clipped(patch: Patch, size: tuple[int, int], notes: Notes, where: str) -> Patch:
    (top, left, mask), (h, w) = patch, size
    if top < 0 or left < 0 or top + mask.shape[0] > h or left + mask.shape[1] > w:
        notes.add('a mask reaches beyond its image and is clipped', where)
        mask = mask[max(-top, 0) : max(h - top, 0), max(-left, 0) : max(w - left, 0)]
        top, left = min(max(top, 0), h), min(max(left, 0), w)
    return Patch(top, left, mask)
