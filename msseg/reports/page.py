"""Pages for any browser: one HTML file that holds its style, script and pictures."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import cv2
import jinja2
import numpy as np
from markupsafe import Markup

from msseg.utils.atomic import atomic_write_text
from msseg.utils.outputs import HTML_MARK
from msseg.version import __version__

# With more classes a confusion matrix is a picture: the cells have no room for numbers.
MOST_NUMBERS = 24
_RIGHT_RGB, _WRONG_RGB = (37, 99, 235), (220, 38, 38)
_UNKNOWN_GREY = 200
_LARGEST_SIDE = 900
_JPEG_QUALITY = 85


class Page:
    """A page of sections.

    Args:
        title: The heading.
        subtitle: A line below the heading.

    Examples:
        >>> page = Page('demo: mIoU 86.5')
        >>> page.add('Summary', parts().cards([('mIoU', '86.5')]), note='One run.')
        >>> '<b>86.5</b><span>mIoU</span>' in page.html()
        True
    """

    def __init__(self, title: str, subtitle: str = '') -> None:
        self.title, self.subtitle = title, subtitle
        self._sections: list[dict[str, Any]] = []

    def add(self, title: str, *bodies: str, note: str = '') -> None:
        """Add a section.

        Args:
            title: The heading, unlike all others'.
            *bodies: What `parts` gives.
            note: A sentence below the heading, plain text.
        """
        anchor = ''.join(c if c.isalnum() else '-' for c in title.lower())
        self._sections.append({'title': title, 'anchor': anchor, 'note': note, 'bodies': bodies})

    def html(self) -> str:
        """Return the whole page."""
        return _environment().get_template('page.html').render(
            title=self.title, subtitle=self.subtitle, sections=self._sections,
            mark=Markup(HTML_MARK), version=__version__,
        )  # fmt: skip

    def write(self, path: str | Path) -> None:
        """Write the page; its folder must exist."""
        atomic_write_text(path, self.html())


@lru_cache
def parts() -> ModuleType:
    """Return the macros of templates/parts.html as functions, such as cards, legend and table.

    They escape text, and return HTML for `Page.add`.
    """
    return _environment().get_template('parts.html').module


@lru_cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader('msseg.reports', 'templates'),
        autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.globals['pairs'] = zip
    return environment


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: What it shows.
        value: What it is sorted by; a number, NaN always last. None sorts by the text.
        bar: Length of a bar behind it, in [0, 1].
        has_swatch: Show the RGB `colour` in front of the text; None is crossed out.
    """

    text: str
    value: float | None = None
    bar: float | None = None
    has_swatch: bool = False
    colour: Sequence[int] | None = None

    @classmethod
    def percent(cls, fraction: float) -> Cell:
        """Return a share, in percent with a bar; NaN is n/a."""
        if math.isnan(fraction):
            return cls('n/a', fraction)
        return cls(f'{100 * fraction:.2f}', fraction, min(max(fraction, 0), 1))

    @classmethod
    def count(cls, number: int) -> Cell:
        """Return a whole number."""
        return cls(f'{number:,}', number)

    @classmethod
    def of_class(cls, name: str, colour: Sequence[int] | None) -> Cell:
        """Return a class name behind its colour."""
        return cls(name, has_swatch=True, colour=colour)

    @property
    def sort_key(self) -> str:
        """The value as text, empty for NaN."""
        return '' if math.isnan(self.value) else f'{self.value:.12g}'


class Picture(NamedTuple):
    """A picture as an address that holds its bytes."""

    source: str
    width: int
    height: int
    alt: str
    title: str


def picture(
    image: np.ndarray,
    alt: str,
    longest: int | None = None,
    lossless: bool = False,
    title: str = '',
) -> Picture:
    """Encode a picture for a page.

    Args:
        image: BGR uint8 (h, w, 3).
        alt: What it shows.
        longest: Shrink a picture whose longer side has more pixels than this.
        lossless: As PNG, for flat colours; else as JPEG.
        title: The text below it.
    """
    h, w = image.shape[:2]
    if longest is not None and max(h, w) > longest:
        factor = longest / max(h, w)
        size = max(round(w * factor), 1), max(round(h * factor), 1)
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    options = [] if lossless else [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _, data = cv2.imencode('.png' if lossless else '.jpg', image, options)
    text = base64.b64encode(data.tobytes()).decode('ascii')
    source = f'data:image/{"png" if lossless else "jpeg"};base64,{text}'
    return Picture(source, image.shape[1], image.shape[0], alt, title)


def row_shares(matrix: np.ndarray) -> np.ndarray:
    """Return each row divided by its sum; rows without counts are NaN."""
    sums = matrix.sum(axis=1, keepdims=True)
    return np.divide(matrix, sums, out=np.full(matrix.shape, np.nan), where=sums > 0)


def largest_confusions(matrix: np.ndarray, count: int = 10) -> list[tuple[int, int]]:
    """Return the (label, prediction) of the classes most often taken for another, in pixels."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind='stable')[:count]
    pairs = (divmod(int(i), len(matrix)) for i in order)
    return [(i, j) for i, j in pairs if wrong[i, j] > 0]


def matrix_map(matrix: np.ndarray, classes: Sequence[str]) -> str:
    """Return a heat map of a confusion matrix, each row as shares of its sum.

    Args:
        matrix: int64 (K, K), rows are labels, columns predictions.
        classes: The K names.
    """
    shares = row_shares(matrix)
    if len(classes) > MOST_NUMBERS:
        return _matrix_picture(matrix, shares, classes)
    rows = [
        [
            {
                'is_right': i == j,
                'text': 'n/a' if math.isnan(shares[i, j]) else f'{100 * shares[i, j]:.1f}',
                'style': _tint(shares[i, j], i == j),
                'title': f'{name} predicted as {other}: {matrix[i, j]:,} pixels',
            }
            for j, other in enumerate(classes)
        ]
        for i, name in enumerate(classes)
    ]
    return parts().matrix(classes, rows)


def _matrix_picture(matrix: np.ndarray, shares: np.ndarray, classes: Sequence[str]) -> str:
    strength = np.sqrt(np.nan_to_num(shares))[..., None]
    rgb = np.where(np.eye(len(classes), dtype=bool)[..., None], _RIGHT_RGB, _WRONG_RGB)
    image = np.rint(255 + (rgb - 255) * strength).astype(np.uint8)[..., ::-1]
    image = np.where(np.isnan(shares)[..., None], np.uint8(_UNKNOWN_GREY), image)
    side = max(_LARGEST_SIDE // len(classes), 1) * len(classes)
    data = json.dumps({'classes': list(classes), 'counts': matrix.tolist()})
    drawn = picture(image, 'confusion matrix', lossless=True)
    return parts().matrix_picture(drawn, data, side)


def _tint(share: float, is_right: bool) -> str:
    if math.isnan(share):
        return 'color:var(--soft)'
    # the root makes small confusions visible
    r, g, b = _RIGHT_RGB if is_right else _WRONG_RGB
    strength = share**0.5
    ink = ';color:#fff' if strength > 0.65 else ''
    return f'background:rgba({r},{g},{b},{strength:.3f}){ink}'
