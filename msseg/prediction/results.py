"""Write the results of an image row by row: labels, overlay and probabilities."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from msseg.apis.image_inputs import LABELS, OVERLAYS, PROBABILITIES
from msseg.apis.visualize import OverlayStyle
from msseg.prediction.geotiff import Georeference, writing_geotiff
from msseg.utils.atomic import atomic_path
from msseg.utils.display import Display, Limits, as_bgr, count_pixels, display_limits
from msseg.utils.outputs import PNG_MARK_CHUNK

_ROWS_AT_ONCE = 128
# Of the PNG specification: colour types, and the filter of a row as its difference to that above.
_GREY, _RGB, _PALETTE = 0, 2, 3
_UP = 2
_WHITE = (255, 255, 255)
_SIGNATURE = b'\x89PNG\r\n\x1a\n'
_LABEL_LEVEL, _PHOTO_LEVEL = 6, 1  # photographs hardly shrink further, in many times the time

# (image rows, labels (n, w), uint8 probabilities (n, w, channels) or None)
WriteRows = Callable[[np.ndarray, np.ndarray, np.ndarray | None], None]


@contextmanager
def writing_results(
    out: Path,
    name: str,
    size: tuple[int, int],
    style: OverlayStyle,
    num_channels: int | None,
    place: Georeference | None = None,
    may_lack_data: bool = False,
    display: Display | None = None,
    limits: Limits | None = None,
) -> Iterator[WriteRows]:
    """Yield what writes the next rows of ``labels/NAME.png``, ``overlays/NAME.png`` and so on.

    The files appear under their names when the block succeeds, or not at all.

    Args:
        out: The folder.
        name: The image's name.
        size: The image's (h, w).
        style: How the labels look in the overlay.
        num_channels: Of ``probabilities/NAME.npy``; None writes none.
        place: Where the image lies on the earth: its labels are then ``labels/NAME.tif``.
        may_lack_data: Whether labels may be `no_data_label`.
        display: How the image is shown in the overlay.
        limits: Values to show as black and white; None for those of the first rows.
    """
    with ExitStack() as stack:

        def new_file(kind: str, suffix: str) -> Path:
            path = out / kind / f'{name}{suffix}'
            path.parent.mkdir(parents=True, exist_ok=True)
            return stack.enter_context(atomic_path(path))

        height = size[0] + len(style.legend(size))
        labels_file = new_file(LABELS, label_suffix(place))
        overlay_file = new_file(OVERLAYS, '.png')
        if place is not None:
            labels_writer = writing_geotiff(labels_file, size, style.palette, place)
        else:
            white = [_WHITE] * max(256 - len(style.palette), 1) if may_lack_data else []
            labels_writer = writing_png(labels_file, size, [*style.palette, *white])
        write_labels = stack.enter_context(labels_writer)
        write_overlay = stack.enter_context(writing_png(overlay_file, (height, size[1])))
        if num_channels is not None:
            values_file = stack.enter_context(new_file(PROBABILITIES, '.npy').open('wb'))
            head = dict(descr='|u1', fortran_order=False, shape=(*size, num_channels))
            np.lib.format.write_array_header_1_0(values_file, head)
        pixels, display = np.zeros(len(style.classes), np.int64), display or Display()

        def write(image: np.ndarray, labels: np.ndarray, values: np.ndarray | None) -> None:
            nonlocal pixels, limits
            write_labels(labels)
            limits = display_limits(image, display) if limits is None else limits
            for top in range(0, len(labels), _ROWS_AT_ONCE):
                rows = slice(top, top + _ROWS_AT_ONCE)
                shown = as_bgr(image[rows], limits, display)
                write_overlay(style.blend(shown, labels[rows]))
            pixels += count_pixels(labels, len(pixels))
            if num_channels is not None:
                values_file.write(memoryview(np.ascontiguousarray(values)).cast('B'))

        yield write
        write_overlay(style.legend(size, pixels))


def label_suffix(place: Georeference | None) -> str:
    """Return the suffix of the label file of an image that lies there."""
    return '.png' if place is None else '.tif'


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
