"""Write the results of an image row by row: labels, overlay and probabilities."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from msseg.apis.image_inputs import LABELS, OVERLAYS, PROBABILITIES
from msseg.apis.visualize import OverlayStyle, as_bgr, count_pixels, display_limits
from msseg.utils.atomic import atomic_path
from msseg.utils.image_file import opened_by_rasterio
from msseg.utils.image_header import read_header
from msseg.utils.outputs import PNG_MARK_CHUNK

_ROWS_AT_ONCE = 128
# Of the PNG specification: colour types, and the filter of a row as its difference to that above.
_GREY, _RGB, _PALETTE = 0, 2, 3
_UP = 2
_SIGNATURE = b'\x89PNG\r\n\x1a\n'
_LABEL_LEVEL, _PHOTO_LEVEL = 6, 1  # photographs hardly shrink further, in many times the time

# (image rows, labels (n, w), uint8 probabilities (n, w, channels) or None)
WriteRows = Callable[[np.ndarray, np.ndarray, np.ndarray | None], None]


@contextmanager
def writing_results(
    out: Path, name: str, size: tuple[int, int], style: OverlayStyle, num_channels: int | None
) -> Iterator[WriteRows]:
    """Yield what writes the next rows of ``labels/NAME.png``, ``overlays/NAME.png`` and so on.

    The files appear under their names when the block succeeds, or not at all.

    Args:
        out: The folder.
        name: The image's name.
        size: The image's (h, w).
        style: How the labels look in the overlay.
        num_channels: Of ``probabilities/NAME.npy``; None writes none.
    """
    with ExitStack() as stack:

        def new_file(kind: str, suffix: str) -> Path:
            path = out / kind / f'{name}{suffix}'
            path.parent.mkdir(parents=True, exist_ok=True)
            return stack.enter_context(atomic_path(path))

        height = size[0] + len(style.legend(size))
        labels_file, overlay_file = new_file(LABELS, '.png'), new_file(OVERLAYS, '.png')
        write_labels = stack.enter_context(writing_png(labels_file, size, style.palette))
        write_overlay = stack.enter_context(writing_png(overlay_file, (height, size[1])))
        if num_channels is not None:
            values_file = stack.enter_context(new_file(PROBABILITIES, '.npy').open('wb'))
            head = dict(descr='|u1', fortran_order=False, shape=(*size, num_channels))
            np.lib.format.write_array_header_1_0(values_file, head)
        pixels, limits = np.zeros(len(style.classes), np.int64), None

        def write(image: np.ndarray, labels: np.ndarray, values: np.ndarray | None) -> None:
            nonlocal pixels, limits
            write_labels(labels)
            limits = limits or display_limits(image)
            for top in range(0, len(labels), _ROWS_AT_ONCE):
                rows = slice(top, top + _ROWS_AT_ONCE)
                write_overlay(style.blend(as_bgr(image[rows], limits), labels[rows]))
            pixels += count_pixels(labels, len(pixels))
            if num_channels is not None:
                values_file.write(memoryview(np.ascontiguousarray(values)).cast('B'))

        yield write
        write_overlay(style.legend(size, pixels))


@contextmanager
def writing_png(
    path: str | Path, size: tuple[int, int], palette: Sequence[Sequence[int]] | None = None
) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield what writes the next rows of a PNG, so that a picture need not be in memory.

    Rows are indices (n, w), or BGR uint8 (n, w, 3).

    Args:
        path: The file.
        size: The picture's (h, w).
        palette: RGB colours of a picture of indices, at most 256; a longer list gives a grey
            picture of 16 bits. None for a picture in colours.
    """
    height, width = size
    kind = _RGB if palette is None else _PALETTE if len(palette) <= 256 else _GREY
    pack = zlib.compressobj(_PHOTO_LEVEL if kind == _RGB else _LABEL_LEVEL)
    above, num_written = np.zeros((1, width, 3), np.uint8), 0
    with Path(path).open('wb') as file:

        def write_chunk(name: bytes, data: bytes) -> None:
            file.write(struct.pack('>I', len(data)) + name + data)
            file.write(struct.pack('>I', zlib.crc32(data, zlib.crc32(name))))

        def write(rows: np.ndarray) -> None:
            nonlocal above, num_written
            if not len(rows):
                return
            num_written += len(rows)
            if kind == _RGB:  # photographs pack better as differences
                rows = rows[..., ::-1]
                rows, above = np.diff(rows, axis=0, prepend=above), rows[-1:].copy()
            elif kind == _GREY:
                rows = rows.astype('>u2').view(np.uint8)
            lines = rows.reshape(len(rows), -1).astype(np.uint8, copy=False)
            packed = pack.compress(np.insert(lines, 0, _UP if kind == _RGB else 0, axis=1))
            if packed:
                write_chunk(b'IDAT', packed)

        bits = 16 if kind == _GREY else 8
        file.write(_SIGNATURE)
        write_chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, bits, kind, 0, 0, 0))
        file.write(PNG_MARK_CHUNK)
        if kind == _PALETTE:
            write_chunk(b'PLTE', np.asarray(palette, np.uint8).tobytes())
        yield write
        assert num_written == height, 'a picture must be written to its end'
        write_chunk(b'IDAT', pack.flush())
        write_chunk(b'IEND', b'')


def as_uint8(probabilities: np.ndarray) -> np.ndarray:
    """Return probabilities (channels, h, w) as uint8 (h, w, channels): 255 is 1."""
    result = np.empty((*probabilities.shape[1:], len(probabilities)), np.uint8)
    for channel, values in enumerate(probabilities):
        result[..., channel] = np.rint(np.clip(values, 0, 1) * 255)
    return result


def write_georeference(image: Path, labels: Path) -> None:
    """Write next to a label file where it lies on the earth, as GDAL and QGIS read it.

    Only rasterio reads it, and only from a TIFF; otherwise nothing is written.
    """
    header = read_header(image)
    if header is None or header.kind != 'TIFF' or find_spec('rasterio') is None:
        return
    try:
        with opened_by_rasterio(os.fspath(image), 'a georeference') as file:
            crs, place = file.crs, file.transform
    except (OSError, ValueError):  # what GDAL does not open, such as names that are no UTF-8
        return
    if place.is_identity:
        return
    numbers = ', '.join(f'{number:.17g}' for number in place.to_gdal())
    system = f'<SRS>{escape(crs.to_wkt())}</SRS>' if crs else ''
    with atomic_path(labels.with_name(f'{labels.name}.aux.xml')) as temporary:
        temporary.write_text(
            f'<PAMDataset>{system}<GeoTransform>{numbers}</GeoTransform></PAMDataset>\n', 'utf-8'
        )
