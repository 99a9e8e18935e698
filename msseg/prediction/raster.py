"""Images of which rows can be read: decoded ones, and pages of TIFF files read by windows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from msseg.datasets.pipelines import LoadImageFromFile
from msseg.inference.preparation import Preparation
from msseg.utils.image_file import check_pixels, opened_by_rasterio, pixel_limit
from msseg.utils.image_header import read_header, read_tiff_pages
from msseg.utils.image_loading import LoadedImage
from msseg.utils.regular_file import check_regular
from msseg.utils.shown import shorten

# Where one tile or strip is larger than this, reading it is reading the file.
_MOST_BLOCK_PIXELS = 1 << 24
_SAMPLE_SIDE = 500  # pixels of the longer side of a smaller copy, or up to twice as many
_PHOTOMETRIC = {0: 'MINISWHITE', 1: 'MINISBLACK'}  # all others are RGB as GDAL reads them
_ALPHA = {1: 'PREMULTIPLIED', 2: 'NON-PREMULTIPLIED'}


class UnreadableInputError(ValueError):
    """An image or a video cannot be read; the message names it."""


class Raster:
    """An image, or a page of a TIFF.

    Windows of a TIFF and its pages are read by rasterio, if it is installed; a TIFF of one page
    is decoded whole without it.

    Args:
        path: The file.
        prepare: Whose first step reads it.
        pixels_at_once: Of a TIFF page larger than this only what is asked for is read.
        page: Number of the page, from 0; None for the only one.

    Attributes:
        size: Its (h, w).
        whole: The decoded image; None for a TIFF read by windows.
        may_lack_data: Whether there may be pixels without data, by the header.

    Raises:
        UnreadableInputError: It cannot be read.
    """

    def __init__(
        self, path: Path, prepare: Preparation, pixels_at_once: int, page: int | None = None
    ) -> None:
        self.path = path
        self.whole: LoadedImage | None = None
        loader = prepare.reads_files
        with reading(path):
            self.may_lack_data = loader is not None and loader.loading.may_lack_data(path)
            self._windows = _tiff_windows(path, loader, pixels_at_once, page)
            if self._windows is None:
                found = prepare.load(path)
                self.whole = LoadedImage(found['img'], found.get('no_data'))
                self.size = self.whole.img.shape[:2]
                return
            self.size = self._windows.header.size
            if self.size[0] * self.size[1] <= pixels_at_once or not self._windows.are_small:
                check_pixels(self.size, path)
                self.whole = self._windows.rows(0, self.size[0])

    def rows(self, top: int, bottom: int) -> np.ndarray:
        """Return rows [top, bottom) as the first step of the pipeline gives the image.

        Raises:
            UnreadableInputError: The file is damaged there.
        """
        return self.read(top, bottom).img

    def read(self, top: int, bottom: int) -> LoadedImage:
        """Return `rows`, and where they have no data."""
        if self.whole is not None:
            img, no_data = self.whole
            return LoadedImage(img[top:bottom], None if no_data is None else no_data[top:bottom])
        with reading(self.path):
            return self._windows.rows(top, bottom)

    @property
    def is_deep(self) -> bool:
        """Whether a TIFF read by windows has other values than bytes."""
        return self._windows is not None and self._windows.header.dtype != 'uint8'

    def sample(self) -> LoadedImage:
        """Return a smaller copy of a TIFF read by windows."""
        with reading(self.path):
            return self._windows.sample()


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
        loader = prepare.reads_files
        header = None if loader is None else loader.loading.header(path, path)
        if header is None:
            return 1
        if header.pages > 1 and header.kind != 'TIFF':
            raise ValueError(
                f'holds {header.pages} frames, of which only the first would be labelled: save '
                'them as files of their own, or as a video'
            )
        return header.pages


def _tiff_windows(
    path: Path, loader: LoadImageFromFile | None, pixels_at_once: int, page: int | None
) -> _TiffWindows | None:
    """Return what reads windows of a TIFF; None for what the first step of the pipeline reads."""
    header = loader.loading.header(path, path) if loader is not None else None
    if header is None or header.kind != 'TIFF':
        return None
    is_large = header.size[0] * header.size[1] > pixels_at_once
    if page is None and (not is_large or loader.percentiles is not None or header.orientation != 1):
        return None
    try:
        windows = _TiffWindows(path, loader, page or 0)
    except ImportError:
        if page is None and header.size[0] * header.size[1] <= pixel_limit():
            return None
        raise
    if page is None and not windows.are_small:
        return None
    loader.warn_of_unused(header._replace(pages=1), path)
    if windows.header.orientation != 1:
        raise ValueError(
            f'page {page} of {header.pages} is turned, so that it cannot be read by itself: save '
            'the pages as files of their own'
        )
    return windows


class _TiffWindows:
    """Rows of a TIFF's page, decoded as the whole would be: each window as a small TIFF."""

    def __init__(self, path: Path, loader: LoadImageFromFile, page: int) -> None:
        self._path, self._loader = path, loader
        with path.open('rb') as file:
            self._page = next(islice(read_tiff_pages(file), page, None))
        self.header = self._page.header
        with self._opened() as file:
            block = file.block_shapes[0]
        # percentiles are of a whole image
        self.are_small = block[0] * block[1] <= _MOST_BLOCK_PIXELS and loader.percentiles is None

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        name = f'GTIFF_DIR:{self._page.number}:{self._path}'
        what = f'{self._path}: a TIFF that is large or has several pages'
        try:
            with opened_by_rasterio(name, what) as file:
                yield file
        except OSError as error:
            raise ValueError(
                f'{self._path}: the image is truncated or damaged ({error.__cause__ or error}); '
                'copy it again, or save it as PNG'
            ) from error

    def rows(self, top: int, bottom: int) -> LoadedImage:
        with self._opened() as file:
            return self._load(file, file.read(window=((top, bottom), (0, file.width))))

    def sample(self) -> LoadedImage:
        """Return every nth pixel of every nth row."""
        with self._opened() as file:
            step = max(max(file.shape) // _SAMPLE_SIDE, 1)
            shape = file.count, *(-(-side // step) for side in file.shape)
            return self._load(file, file.read(out_shape=shape))

    def _load(self, file: Any, values: np.ndarray) -> LoadedImage:
        data = self._as_tiff(file, values)
        header = read_header(data)._replace(nodata=self.header.nodata)
        return self._loader.loading.load(data, self._path, header)

    def _as_tiff(self, file: Any, values: np.ndarray) -> bytes:
        from rasterio.io import MemoryFile

        if self.header.mode in ('CMYK', 'LAB'):  # GDAL gives them as colours with opacity
            values = values[:3]
        count, height, width = values.shape
        options = dict(driver='GTiff', width=width, height=height, count=count, dtype=values.dtype)
        if self.header.mode != 'P':
            options['photometric'] = _PHOTOMETRIC.get(self._page.photometric, 'RGB')
            if count > (3 if options['photometric'] == 'RGB' else 1):
                options['alpha'] = _ALPHA.get(next(iter(self._page.extra_samples), 0), 'NO')
        options |= {k.lower(): v for k, v in file.tags(1, ns='IMAGE_STRUCTURE').items()
                    if k == 'NBITS'}  # fmt: skip
        with MemoryFile() as memory:
            with memory.open(**options) as part:
                if self.header.mode == 'P':
                    part.write_colormap(1, file.colormap(1))
                part.write(values)
            return memory.read()
