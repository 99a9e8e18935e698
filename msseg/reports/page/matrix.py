"""A confusion matrix as a heat map."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from html import escape

import numpy as np

from msseg.reports.page.parts import picture

# With more classes the cells hold no numbers: the map is a picture, and pointing at it tells.
MOST_NUMBERS = 24
_RIGHT_RGB, _WRONG_RGB = (37, 99, 235), (220, 38, 38)
_UNKNOWN_GREY = 200
_LARGEST_SIDE = 900


def matrix_map(matrix: np.ndarray, classes: Sequence[str]) -> str:
    """Return a heat map of a confusion matrix, each row as shares of its sum.

    Args:
        matrix: int64 (K, K), rows are labels, columns predictions.
        classes: The K names.
    """
    shares = row_shares(matrix)
    if len(classes) <= MOST_NUMBERS:
        return _with_numbers(matrix, shares, classes)
    return _as_picture(matrix, shares, classes)


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


def _with_numbers(matrix: np.ndarray, shares: np.ndarray, classes: Sequence[str]) -> str:
    head = ''.join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in classes)
    rows = []
    for i, name in enumerate(classes):
        cells = ''.join(
            f'<td class="{"right" if i == j else "wrong"}" style="{_tint(shares[i, j], i == j)}" '
            f'title="{escape(name)} predicted as {escape(other)}: {matrix[i, j]:,} pixels">'
            f'{_percent(shares[i, j])}</td>'
            for j, other in enumerate(classes)
        )
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    return (
        '<div class="scroll"><table class="matrix"><thead><tr><th class="corner">label \\ '
        f'prediction</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _as_picture(matrix: np.ndarray, shares: np.ndarray, classes: Sequence[str]) -> str:
    strength = np.sqrt(np.nan_to_num(shares))[..., None]
    rgb = np.where(np.eye(len(classes), dtype=bool)[..., None], _RIGHT_RGB, _WRONG_RGB)
    image = np.rint(255 + (rgb - 255) * strength).astype(np.uint8)[..., ::-1]
    image = np.where(np.isnan(shares)[..., None], np.uint8(_UNKNOWN_GREY), image)
    side = max(_LARGEST_SIDE // len(classes), 1) * len(classes)
    data = escape(json.dumps({'classes': list(classes), 'counts': matrix.tolist()}))
    drawn = picture(image, 'confusion matrix', lossless=True)
    return (
        f'<figure class="matrix-picture" data-matrix="{data}" style="--side:{side}px">{drawn}'
        '<figcaption>Labels from top to bottom, predictions from left to right: point at a cell.'
        '</figcaption></figure>'
    )


def _tint(share: float, is_right: bool) -> str:
    if math.isnan(share):
        return 'color:var(--soft)'
    # the root makes small confusions visible
    r, g, b = _RIGHT_RGB if is_right else _WRONG_RGB
    strength = share**0.5
    ink = ';color:#fff' if strength > 0.65 else ''
    return f'background:rgba({r},{g},{b},{strength:.3f}){ink}'


def _percent(share: float) -> str:
    return 'n/a' if math.isnan(share) else f'{100 * share:.1f}'
