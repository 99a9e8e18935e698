"""The files that are written for an image: labels, overlay, probabilities; row by row."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np

from msseg.apis.image_inputs import LABELS, OVERLAYS, PROBABILITIES
from msseg.apis.visualize import OverlayStyle, as_bgr, count_pixels, display_limits
from msseg.prediction.png_rows import PngRows
from msseg.utils.atomic import atomic_path

_ROWS_AT_ONCE = 128


class ResultFiles:
    """Writes ``labels/NAME.png``, ``overlays/NAME.png`` and, if asked, ``probabilities/NAME.npy``.

    The files appear under their names when all is written, or not at all.

    Args:
        out: The folder.
        name: The image's name.
        size: The image's (h, w).
        style: How the labels look in the overlay.
        num_channels: Of the probabilities; None writes none.
    """

    def __init__(
        self,
        out: Path,
        name: str,
        size: tuple[int, int],
        style: OverlayStyle,
        num_channels: int | None,
    ) -> None:
        self.out, self.name, self.size = out, name, size
        self.style, self.num_channels = style, num_channels
        self._limits: tuple[float, float] | None = None
        self._pixels = np.zeros(len(style.classes), np.int64)

    def __enter__(self) -> ResultFiles:
        with ExitStack() as stack:
            path = stack.enter_context(atomic_path(self._path(LABELS, '.png')))
            self._labels = stack.enter_context(PngRows(path, self.size, self.style.palette))
            path = stack.enter_context(atomic_path(self._path(OVERLAYS, '.png')))
            height = self.size[0] + len(self.style.legend(self.size))
            self._overlay = stack.enter_context(PngRows(path, (height, self.size[1])))
            stack.push(self._write_legend)
            if self.num_channels is not None:
                path = stack.enter_context(atomic_path(self._path(PROBABILITIES, '.npy')))
                self._probabilities = stack.enter_context(path.open('wb'))
                shape = (*self.size, self.num_channels)
                head = {'descr': '|u1', 'fortran_order': False, 'shape': shape}
                np.lib.format.write_array_header_1_0(self._probabilities, head)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def _write_legend(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._overlay.write(self.style.legend(self.size, self._pixels))

    def write(
        self, image: np.ndarray, labels: np.ndarray, probabilities: np.ndarray | None
    ) -> None:
        """Write the next rows.

        Args:
            image: As the pipeline's first step gives it.
            labels: (n, w) classes.
            probabilities: uint8 (n, w, channels), if they were asked for.
        """
        self._labels.write(labels)
        self._limits = self._limits or display_limits(image)
        for top in range(0, len(labels), _ROWS_AT_ONCE):
            rows = slice(top, top + _ROWS_AT_ONCE)
            self._overlay.write(self.style.blend(as_bgr(image[rows], self._limits), labels[rows]))
        self._pixels += count_pixels(labels, len(self._pixels))
        if self.num_channels is not None:
            self._probabilities.write(memoryview(np.ascontiguousarray(probabilities)).cast('B'))

    def _path(self, kind: str, suffix: str) -> Path:
        path = self.out / kind / f'{self.name}{suffix}'
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def as_uint8(probabilities: np.ndarray) -> np.ndarray:
    """Return probabilities (channels, h, w) as uint8 (h, w, channels): 255 is 1."""
    result = np.empty((*probabilities.shape[1:], len(probabilities)), np.uint8)
    for channel, values in enumerate(probabilities):
        result[..., channel] = np.rint(np.clip(values, 0, 1) * 255)
    return result
