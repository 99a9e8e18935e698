"""Label maps as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from msseg.utils.atomic import atomic_path
from msseg.utils.outputs import mark_png

_IGNORED = (255, 255, 255)
_GAP = 4


def default_palette(num_classes: int) -> list[tuple[int, int, int]]:
    """Return RGB colours that tell classes apart, the same for the same number."""
    hues = np.arange(num_classes) * 180.0 / max(num_classes, 1)
    hsv = np.stack([hues, np.full(num_classes, 200), 255 - 60 * (np.arange(num_classes) % 3)], 1)
    rgb = cv2.cvtColor(hsv[None].astype(np.uint8), cv2.COLOR_HSV2RGB)[0]
    return [tuple(int(value) for value in colour) for colour in rgb]


def colour_labels(labels: np.ndarray, palette: Sequence[Sequence[int]]) -> np.ndarray:
    """Return a label map in colours.

    Args:
        labels: Integers (h, w); those beyond the palette (ignored pixels) become white.
        palette: RGB of each class.

    Returns:
        BGR uint8 (h, w, 3).
    """
    table = np.vstack([np.asarray(palette, np.uint8).reshape(-1, 3), [_IGNORED]]).astype(np.uint8)
    known = (labels >= 0) & (labels < len(palette))
    return table[np.where(known, labels, len(palette))][..., ::-1]


def blend_labels(
    image: np.ndarray, labels: np.ndarray, palette: Sequence[Sequence[int]], opacity: float = 0.5
) -> np.ndarray:
    """Lay a label map over an image.

    Args:
        image: BGR uint8 (h, w, 3).
        labels: Integers (h, w).
        palette: RGB of each class.
        opacity: Of the labels, from 0 (image only) to 1 (labels only).

    Returns:
        BGR uint8 (h, w, 3).
    """
    colours = np.ascontiguousarray(colour_labels(labels, palette))
    return cv2.addWeighted(image, 1 - opacity, colours, opacity, 0)


def side_by_side(panels: Sequence[tuple[str, np.ndarray]]) -> np.ndarray:
    """Put BGR pictures of one height beside each other, each under its title."""
    height = panels[0][1].shape[0]
    columns = []
    for title, picture in panels:
        header = np.full((20, picture.shape[1], 3), 255, np.uint8)
        cv2.putText(
            header, title, (3, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA
        )
        columns += [np.vstack([header, picture]), np.full((height + 20, _GAP, 3), 255, np.uint8)]
    return np.hstack(columns[:-1])


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Write a picture atomically, making its folder.

    Raises:
        OSError: It cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        content = cv2.imencode(path.suffix, image)[1].tobytes()
    except cv2.error as error:
        raise OSError(
            f'{str(path)!r} cannot be written: OpenCV writes no {path.suffix!r} files; take .png'
        ) from error
    with atomic_path(path) as temporary:
        temporary.write_bytes(mark_png(content) if path.suffix.lower() == '.png' else content)
