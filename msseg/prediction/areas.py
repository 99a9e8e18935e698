"""Measure the area of each class: pixels, share, connected components, as CSV files."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from msseg.utils.atomic import atomic_path
from msseg.utils.display import count_pixels
from msseg.utils.outputs import AREA_SUMS_HEAD, AREAS_HEAD

AREAS, AREA_SUMS = 'areas.csv', 'areas_by_class.csv'


class AreaCounter:
    """Counts the classes of a label map that comes row by row.

    Attributes:
        pixels: Of each class.
        components: Parts of each class that do not touch each other, not even at corners.
    """

    def __init__(self, num_classes: int) -> None:
        self.pixels = np.zeros(num_classes, np.int64)
        self.components = np.zeros(num_classes, np.int64)
        self._above: tuple[np.ndarray, np.ndarray] | None = None  # labels and components of a row
        self._num_seen = 0

    def add(self, labels: np.ndarray) -> None:
        """Count the next rows, classes (n, w)."""
        counts = count_pixels(labels, len(self.pixels))
        self.pixels += counts
        first, last = np.zeros((2, labels.shape[1]), np.int64)
        for index in np.flatnonzero(counts):
            mask = np.asarray(labels == index, np.uint8)
            number, components = cv2.connectedComponents(mask, connectivity=8)
            self.components[index] += number - 1
            for row, place in ((first, 0), (last, -1)):
                inside = mask[place] > 0
                row[inside] = components[place][inside] + self._num_seen
            self._num_seen += number - 1
        if self._above is not None:
            last = self._join(labels[0], first, last)
        self._above = labels[-1].copy(), last

    def _join(self, labels: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Join components with those of the row above; return the last row's, renamed."""
        labels_above, above = self._above
        parents: dict[int, int] = {}

        def find(component: int) -> int:
            while component in parents:
                component = parents[component]
            return component

        for shift in (-1, 0, 1):
            here = slice(max(shift, 0), len(labels) + min(shift, 0))
            there = slice(max(-shift, 0), len(labels) + min(-shift, 0))
            same = labels[here] == labels_above[there]
            touching = np.stack([labels[here], first[here], above[there]], 1)[same]
            for index, one, other in np.unique(touching, axis=0).tolist():
                one, other = find(one), find(other)
                if one != other:
                    parents[one] = other
                    self.components[index] -= 1
        names, places = np.unique(last, return_inverse=True)
        return np.array([find(name) for name in names.tolist()], np.int64)[places]


class AreaTables:
    """Writes the areas of images: a line for each class of an image, and sums by class."""

    def __init__(self, classes: Sequence[str], writer: csv.writer) -> None:
        self.classes, self._writer = classes, writer
        self.sums = AreaCounter(len(classes))
        self.images = np.zeros(len(classes), np.int64)

    def add(self, name: str, counter: AreaCounter) -> None:
        """Write an image's lines; `name` is that of its label file, without suffix."""
        self._writer.writerows([name, *line] for line in self._lines(counter))
        self.sums.pixels += counter.pixels
        self.sums.components += counter.components
        self.images += counter.pixels > 0

    def sum_lines(self) -> list[list[object]]:
        """Return a line for each class: index, name, pixels, share, components, images."""
        return [[*line, n] for line, n in zip(self._lines(self.sums), self.images, strict=True)]

    def _lines(self, counter: AreaCounter) -> Iterator[list[object]]:
        total = max(int(counter.pixels.sum()), 1)
        for index, name in enumerate(self.classes):
            pixels = counter.pixels[index]
            yield [index, name, pixels, f'{pixels / total:.6f}', counter.components[index]]


@contextmanager
def writing_areas(areas: Path, sums: Path, classes: Sequence[str]) -> Iterator[AreaTables]:
    """Yield the tables, whose two files are there when the block succeeds."""
    with _writing_csv(areas, AREAS_HEAD) as writer:
        tables = AreaTables(classes, writer)
        yield tables
    with _writing_csv(sums, AREA_SUMS_HEAD) as writer:
        writer.writerows(tables.sum_lines())


@contextmanager
def _writing_csv(path: Path, head: str) -> Iterator[csv.writer]:
    # names of files may be no UTF-8
    how = {'encoding': 'utf-8', 'errors': 'backslashreplace', 'newline': ''}
    with atomic_path(path) as temporary, temporary.open('w', **how) as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(head.split(','))
        yield writer
