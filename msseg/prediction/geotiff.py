"""Write label maps as GeoTIFF, which lie where their image lies on the earth."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from msseg.utils.image_file import opened_by_rasterio
from msseg.utils.image_header import PILLOW_ERRORS, read_header, read_tiff_pages
from msseg.utils.image_loading import no_data_label
from msseg.utils.logging import warn_once
from msseg.utils.outputs import TIFF_MARK

_BLOCK = 256  # side of the file's tiles
_WHITE = (255, 255, 255)


class Georeference(NamedTuple):
    """Where an image lies on the earth, as rasterio has it.

    Attributes:
        crs: The coordinate reference system; None without one.
        transform: From columns and rows to coordinates.
        gcps: Ground control points and their reference system.
    """

    crs: Any
    transform: Any
    gcps: tuple[list, Any]


def read_georeference(image: Path, page: int = 0) -> Georeference | None:
    """Return the georeference of a TIFF's page; None without one.

    Only rasterio reads it. Where it is missing, or GDAL cannot open the file (names that are no
    UTF-8), a warning says that the labels have none.
    """
    header = read_header(image) if image.suffix.lower() in ('.tif', '.tiff') else None
    if header is None or header.kind != 'TIFF':
        return None
    with image.open('rb') as file:
        try:
            found = next(islice(read_tiff_pages(file), page, None))
        except PILLOW_ERRORS:
            return None
    if not found.is_georeferenced:
        return None
    if find_spec('rasterio') is None:
        _warn(image, "rasterio is missing: pip install 'msseg[tiff]'")
        return None
    try:
        name = f'GTIFF_DIR:{found.number}:{os.fspath(image)}'
        with opened_by_rasterio(name, 'a georeference') as file:
            place = Georeference(file.crs, file.transform, file.gcps)
    except (OSError, ValueError) as error:
        _warn(image, str(error).partition('\n')[0])
        return None
    return None if place.transform.is_identity and not place.gcps[0] else place


def _warn(image: Path, reason: str) -> None:
    text = f'{image}: its labels are written as PNG, without its georeference ({reason})'
    warn_once(text, f'georeference {reason[:40]}')


@contextmanager
def writing_geotiff(
    path: Path, size: tuple[int, int], palette: Sequence[Sequence[int]], place: Georeference
) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield what writes the next rows of labels (n, w); a few hundred rows are in memory.

    The file is tiled and compressed. Pixels without data have the label of `no_data_label`, which
    is the file's nodata.

    Args:
        path: The file.
        size: The picture's (h, w).
        palette: RGB colours of the classes; more than 256 give a file of 16 bits without colours.
        place: Where it lies.
    """
    from rasterio import open as open_raster

    nodata = no_data_label(len(palette))
    options = dict(driver='GTiff', height=size[0], width=size[1], count=1, nodata=nodata)
    options |= dict(dtype='uint8' if nodata == 255 else 'uint16', compress='deflate')
    options |= dict(tiled=True, blockxsize=_BLOCK, blockysize=_BLOCK, BIGTIFF='IF_SAFER')
    options |= dict(crs=place.crs, transform=place.transform) if not place.gcps[0] else {}
    waiting: list[np.ndarray] = []
    top = 0
    with open_raster(path, 'w', **options) as file:
        file.update_tags(TIFFTAG_SOFTWARE=TIFF_MARK.decode())
        if place.gcps[0]:
            file.gcps = place.gcps
        if nodata == 255:
            colours = [*palette, *[_WHITE] * (256 - len(palette))]
            file.write_colormap(1, {i: tuple(map(int, c)) for i, c in enumerate(colours)})

        def flush(rows: np.ndarray, count: int) -> np.ndarray:
            nonlocal top
            if count:
                window = ((top, top + count), (0, size[1]))
                file.write(rows[:count].astype(options['dtype'], copy=False), 1, window=window)
                top += count
            return rows[count:].copy()

        def write(rows: np.ndarray) -> None:
            joined = np.concatenate([*waiting, rows])
            waiting[:] = [flush(joined, len(joined) // _BLOCK * _BLOCK)]

        yield write
        if waiting:
            flush(waiting[0], len(waiting[0]))
        assert top == size[0], 'a picture must be written to its end'
