"""Images of which rows can be read: decoded ones, and TIFF files that are read by parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from msseg.datasets.pipelines import LoadImageFromFile
from msseg.datasets.pipelines.tiff_parts import TiffParts
from msseg.inference.preparation import Preparation
from msseg.utils.image_file import check_pixels
from msseg.utils.image_header import read_header
from msseg.utils.image_values import as_color_type
from msseg.utils.regular_file import check_regular
from msseg.utils.shown import shorten


class UnreadableInputError(ValueError):
    """An image or a video cannot be read; the message names it."""


class Raster:
    """An image, or a page of a TIFF.

    Args:
        path: The file.
        prepare: Whose first step reads it.
        pixels_at_once: Of a TIFF page larger than this only what is asked for is read.
        page: Number of the page; None for the only one.

    Attributes:
        size: Its (h, w).
        whole: The decoded image; None for a TIFF read by parts.

    Raises:
        UnreadableInputError: It cannot be read.
    """

    def __init__(
        self, path: Path, prepare: Preparation, pixels_at_once: int, page: int | None = None
    ) -> None:
        self.path = path
        self.whole: np.ndarray | None = None
        with reading(path):
            self._parts = _parts(path, prepare, pixels_at_once, page)
            if self._parts is None:
                self.whole = prepare.load(path)['img']
                self.size = self.whole.shape[:2]
                return
            self.size = self._parts.height, self._parts.width
            if self.size[0] * self.size[1] <= pixels_at_once or not self._parts.has_small_pieces:
                check_pixels(self.size, path)
                self.whole = self._parts.rows(0, self.size[0])

    def rows(self, top: int, bottom: int) -> np.ndarray:
        """Return rows [top, bottom) as the first step of the pipeline gives the image.

        Raises:
            UnreadableInputError: The file is damaged there.
        """
        if self.whole is not None:
            return self.whole[top:bottom]
        with reading(self.path):
            return self._parts.rows(top, bottom)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what is raised for a file that cannot be read or segmented into one error."""
    try:
        yield
    except UnreadableInputError:
        raise
    except (ValueError, OSError, ImportError, RuntimeError, MemoryError, cv2.error) as error:
        # the system's own messages have the name last, ours first; MindSpore's have its stack
        name = shorten(str(path), 800)  # it may have line ends
        text = str(error).replace(str(path), name)
        message = text.partition('\n')[0].strip() or type(error).__name__
        said = message if name in message else f'{name}: {message}'
        raise UnreadableInputError(said) from error


def count_pages(path: Path, prepare: Preparation) -> int:
    """Return how many pages of a file are to be labelled.

    Raises:
        UnreadableInputError: It is no file, or has frames that are not read one by one.
    """
    with reading(path):
        check_regular(path)
        header = read_header(path)
        loader = prepare.reads_files
        if header is None or loader is None:
            return 1
        if header.pages > 1 and header.kind != 'TIFF':
            raise ValueError(
                f'holds {header.pages} frames, of which only the first would be labelled: save '
                'them as files of their own, or as a video'
            )
        return header.pages


def _parts(
    path: Path, prepare: Preparation, pixels_at_once: int, page: int | None
) -> TiffParts | None:
    """Return what reads a TIFF by parts; None for what the first step of the pipeline reads."""
    loader = prepare.reads_files
    header = read_header(path) if loader is not None else None
    if header is None or header.kind != 'TIFF':
        return None
    if loader.percentiles is None:
        parts = TiffParts(path, loader.decode, page or 0)
    elif page is None:
        return None  # percentiles are of a whole image
    else:
        parts = _WholePage(path, loader, page)
    if page is None:
        is_large = parts.height * parts.width > pixels_at_once
        if not (is_large and parts.decodes and parts.has_small_pieces):
            return None
    loader.warn_of_unused(header._replace(pages=1), path)
    if not parts.decodes:
        raise ValueError(
            f'page {page} of {header.pages} is compressed or turned so that it cannot be read by '
            'itself: save the pages as files of their own'
        )
    return parts


class _WholePage(TiffParts):
    """A page whose scale is that of all its pixels, and which is therefore read whole."""

    has_small_pieces = False

    def __init__(self, path: Path, loader: LoadImageFromFile, page: int) -> None:
        unscaled = LoadImageFromFile(
            color_type='unchanged', imdecode_backend=loader.imdecode_backend
        )
        super().__init__(path, unscaled.decode, page)
        self.loader = loader

    def rows(self, top: int, bottom: int) -> np.ndarray:
        """Read the page, which is asked for whole."""
        img = super().rows(top, bottom)
        if self.loader.color_type != 'unchanged':
            img = as_color_type(img, read_header(self.path), self.loader.color_type)
        return self.loader.scale(img)
