"""Images of which rows can be read: decoded ones, and TIFF files that are read by parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from msseg.apis.preparation import Preparation
from msseg.datasets.pipelines.tiff_parts import TiffParts


class UnreadableInputError(ValueError):
    """An image or a video cannot be read; the message names it."""


class Raster:
    """An image.

    Args:
        path: The file.
        prepare: Whose first step reads it.
        pixels_at_once: Of a TIFF larger than this only what is asked for is read.

    Attributes:
        size: Its (h, w).
        whole: The decoded image; None for a TIFF read by parts.

    Raises:
        UnreadableInputError: It cannot be read.
    """

    def __init__(self, path: Path, prepare: Preparation, pixels_at_once: int) -> None:
        self.path = path
        self.whole: np.ndarray | None = None
        with reading(path):
            self._parts = _parts(path, prepare, pixels_at_once)
            if self._parts is None:
                self.whole = prepare.load(path)['img']
                self.size = self.whole.shape[:2]
            else:
                self.size = self._parts.height, self._parts.width

    def rows(self, top: int, bottom: int) -> np.ndarray:
        """Return rows [top, bottom) as the first step of the pipeline gives the image.

        Raises:
            UnreadableInputError: The file is damaged there.
        """
        if self._parts is None:
            return self.whole[top:bottom]
        with reading(self.path):
            return self._parts.rows(top, bottom)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what is raised for a file that cannot be read into `UnreadableInputError`."""
    try:
        yield
    except UnreadableInputError:
        raise
    except (ValueError, OSError) as error:
        # the system's own messages have the name last, ours first
        message = str(error)
        said = message if str(path) in message else f'{path}: {message}'
        raise UnreadableInputError(said) from error


def _parts(path: Path, prepare: Preparation, pixels_at_once: int) -> TiffParts | None:
    loader = prepare.reads_files
    if loader is None or not TiffParts.opens(path):
        return None
    parts = TiffParts(path, loader.color_type, loader.imdecode_backend)
    return parts if parts.height * parts.width > pixels_at_once else None
