"""Pictures of label maps, blended with images, with a legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from msseg.datasets.palette import background_classes, default_palette
from msseg.utils.atomic import atomic_path
from msseg.utils.display import blend_labels, count_pixels
from msseg.utils.outputs import FIGURE_MARK, mark_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FIGURE_DPI = 120
_GAP = 4


@dataclass(frozen=True)
class OverlayStyle:
    """The style of label maps blended with images.

    Attributes:
        classes: Class names.
        palette: RGB of each class.
        opacity: Opacity of the labels, in (0, 1].
        has_legend: Add class names and colours below the picture.
        tint_background: Colour background classes, too. Otherwise their pixels keep the image's
            colours; see `background_classes`.
    """

    classes: Sequence[str]
    palette: Sequence[Sequence[int]]
    opacity: float = 0.5
    has_legend: bool = True
    tint_background: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.opacity <= 1:
            raise ValueError(f'opacity is {self.opacity}, expected a number in (0, 1]')
        if len(self.palette) < len(self.classes):
            raise ValueError(
                f'palette has {len(self.palette)} colours for {len(self.classes)} classes; give '
                'one RGB colour for each class'
            )

    @classmethod
    def of_dataset(cls, dataset: Any, **options: Any) -> OverlayStyle:
        """Return a data set's style; `options` are the other attributes."""
        classes = dataset.CLASSES or ()
        return cls(classes, dataset.PALETTE or default_palette(classes), **options)

    @property
    def colours(self) -> tuple[tuple[int, int, int] | None, ...]:
        """RGB that each class is tinted with, None without a tint."""
        bare = () if self.tint_background else background_classes(self.classes)
        return tuple(
            None if i in bare else tuple(int(v) for v in self.palette[i])
            for i in range(len(self.classes))
        )

    def blend(self, image: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return a BGR image (h, w, 3) under its labels (h, w)."""
        untinted = [i for i, colour in enumerate(self.colours) if colour is None]
        return blend_labels(image, labels, self.palette, self.opacity, untinted)

    def draw(self, image: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return `blend` with the legend below it: BGR uint8 (h + n, w, 3)."""
        legend = self.legend(labels.shape, count_pixels(labels, len(self.classes)))
        return np.vstack([self.blend(image, labels), legend])

    def legend(self, size: tuple[int, int], pixels: Sequence[int] | None = None) -> np.ndarray:
        """Return the legend for an image, BGR uint8 (n, w, 3); n is 0 without a legend.

        Args:
            size: The image's (h, w), which determines n.
            pixels: The number of pixels of each class: when there is not enough room for all
                names, only classes with pixels are named.
        """
        if not self.has_legend:
            return np.zeros((0, size[1], 3), np.uint8)
        # matplotlib takes half a second to load, which training need not wait for
        from msseg.apis.legend import draw_legend

        is_present = tuple(bool(n) for n in pixels) if pixels is not None else None
        return draw_legend(tuple(self.classes), self.colours, is_present, tuple(size))


def side_by_side(panels: Sequence[tuple[str, np.ndarray]]) -> np.ndarray:
    """Join BGR pictures of one height in a row, each under its title."""
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
    """Write a picture atomically, making its folder."""
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


def write_figure(path: str | Path, figure: Figure) -> None:
    """Write a figure of matplotlib as PNG, atomically, making its folder."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format='png', dpi=_FIGURE_DPI, metadata=FIGURE_MARK)
