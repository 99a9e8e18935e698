"""Read label files as class indices, never as colours, and check their values."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from PIL import UnidentifiedImageError

from msseg.datasets.pipelines.label_map import map_values, smallest
from msseg.utils.image_bytes import read_bytes
from msseg.utils.image_file import check_pixels
from msseg.utils.image_header import opened_by_pillow, read_header

_PNG_GREY = 0
_INDEX_MODES = ('L', 'P', '1', 'I', 'I;16', 'I;16B', 'I;16L')
_HEADER_BYTES = 26  # of PNG: signature, IHDR up to the colour type


def read_label(path: str | Path, label_map: dict | None = None) -> np.ndarray:
    """Read a label file.

    Single-channel files of 1 to 16 bits and palette files give their indices. An RGB file needs
    a `label_map` from colours.

    Args:
        path: The file.
        label_map: What the file's values or (r, g, b) colours mean; see `parse_label_map`.

    Returns:
        (h, w) uint8, or int32 for values beyond 255.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, has colours without a map for them, or holds something
            else than indices or colours.
    """
    label_map = label_map or {}
    by_colour = {k: v for k, v in label_map.items() if isinstance(k, tuple)}
    by_value = {k: v for k, v in label_map.items() if not isinstance(k, tuple)}
    raw = decode_label(read_bytes(path), path)
    if raw.ndim == 3:
        return _map_colours(raw, by_colour, path)
    if by_colour and not by_value:
        raise ValueError(
            f'{path}: label_map is from colours, but the file is single-channel with the values '
            f'{_some(np.unique(raw))}; give label_map from values, or none'
        )
    return map_values(raw, by_value)


def decode_label(data: bytes, path: str | Path) -> np.ndarray:
    """Decode a label file's content as it is.

    Args:
        data: The content.
        path: The file's name, for errors.

    Returns:
        (h, w) indices, or (h, w, 3) RGB colours.

    Raises:
        ValueError: It cannot be decoded, or holds neither.
    """
    header = read_header(data)
    if header is not None:
        check_pixels(header.size, path)
        if header.pages > 1:
            raise ValueError(
                f'{path}: the label holds {header.pages} pages, of which only the first would be '
                'used; save each as a separate file'
            )
    is_png = data[:8] == b'\x89PNG\r\n\x1a\n' and len(data) >= _HEADER_BYTES
    grey_bits = data[24] if is_png and data[25] == _PNG_GREY else 0
    if grey_bits >= 8:
        # the fast way; cv2 may not read palette files, of which it returns the colours
        label = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if label is not None and label.ndim == 2:
            return label
    try:
        with opened_by_pillow(io.BytesIO(data)) as img:
            img.load()
    except Exception as error:
        is_unknown = isinstance(error, UnidentifiedImageError)
        reason = f'its first bytes are {data[:8]!r}' if is_unknown else error
        raise ValueError(
            f'{path}: cannot be decoded as a label image ({reason}); copy it again, or save '
            'it as single-channel PNG'
        ) from None
    if img.format == 'JPEG':
        raise ValueError(f'{path}: JPEG changes label values; save labels as single-channel PNG')
    if img.mode in _INDEX_MODES:
        label = np.array(img)
        if label.dtype == bool:
            return label.astype(np.uint8)
        # Pillow stretches fewer bits to 0..255
        return label // (255 // (2**grey_bits - 1)) if 0 < grey_bits < 8 else label
    if img.mode == 'RGB' and header is not None and header.bits <= 8:
        return np.array(img)
    raise ValueError(
        f'{path}: the label is {header.form if header else img.mode}; expected one channel of '
        'whole numbers, a palette, or RGB of 8 bits with label_map. Save it as single-channel PNG'
    )


def check_label_values(
    label: np.ndarray, num_classes: int, ignore_index: int, path: str
) -> np.ndarray:
    """Check that a label holds class indices and ignore_index only.

    Args:
        label: (h, w) uint8 or int32.
        num_classes: Number of classes.
        ignore_index: The value of pixels that do not count.
        path: The label's file, for errors.

    Returns:
        The label, as the smallest of uint8, int16 and int32 that holds all classes and
        ignore_index.

    Raises:
        ValueError: Another value occurs; names the file, the values and their pixel counts.
    """
    low, high = min(ignore_index, 0), max(ignore_index, num_classes - 1)
    kinds = map(np.dtype, (np.uint8, np.int16, np.int32))
    kind = next(k for k in kinds if np.iinfo(k).min <= low and high <= np.iinfo(k).max)
    if label.dtype == kind == np.uint8:  # the fast way
        gaps = ((num_classes, ignore_index - 1), (max(num_classes, ignore_index + 1), 255))
        if not any(
            first <= last and cv2.countNonZero(cv2.inRange(label, first, last))
            for first, last in gaps
        ):
            return label
    counts = dict(
        zip(*(found.tolist() for found in np.unique(label, return_counts=True)), strict=True)
    )
    wrong = [v for v in counts if not 0 <= v < num_classes and v != ignore_index]
    if not wrong:
        return label.astype(kind, copy=False)
    named = _some([f'{v} ({counts[v]} px)' for v in wrong], 10, ' values')
    raise ValueError(
        f'{path}: label values {named} are outside [0, {num_classes}) for {num_classes} classes '
        f'and are not ignore_index={ignore_index}; '
        f'{_advice([*counts], wrong, num_classes, ignore_index)}'
    )


def _advice(values: list[int], wrong: list[int], num_classes: int, ignore_index: int) -> str:
    foreground = next((v for v in values if v), None)
    if num_classes == 2 and len(values) <= 2 and set(values) <= {0, foreground}:
        return f'if {foreground} means class 1, give the data set label_map={{{foreground}: 1}}'
    if num_classes == 2 and len(wrong) > 1 and 0 in values:
        return (
            "if the values number the objects of class 1, give the data set label_map={'1-': 1}; "
            'or add the missing classes'
        )
    if num_classes == 1:
        return 'what is not of the one class is a class, too: name two, and set num_classes=2'
    if wrong == [num_classes] and 0 in values:
        return (
            'if 0 stands for no class and classes count from 1, give the data set '
            'reduce_zero_label=True'
        )
    return (
        f'map such values with label_map={{{wrong[0]}: …}}, ignore them with '
        f'label_map={{{wrong[0]}: {ignore_index}}}, or add the missing classes'
    )


def _map_colours(raw: np.ndarray, by_colour: dict, path: str | Path) -> np.ndarray:
    packed = raw.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    colours, inverse, counts = np.unique(packed, return_inverse=True, return_counts=True)
    names = [((c >> 16) & 255, (c >> 8) & 255, c & 255) for c in colours.tolist()]
    if not by_colour:
        raise ValueError(
            f'{path}: the label is an RGB picture with the colours {_some(names)}; give the data '
            f'set label_map, such as label_map={{{names[0]}: 0}}, or save indices in one channel'
        )
    unknown = [f'{c} ({n} px)' for c, n in zip(names, counts, strict=True) if c not in by_colour]
    if unknown:
        raise ValueError(
            f'{path}: label_map lacks the colours {_some(unknown)}; add them, with the '
            'ignore_index for what is to be left out'
        )
    table = np.array([by_colour[name] for name in names])
    return smallest(table[inverse].reshape(packed.shape))


def _some(items: Iterable[object], most: int = 8, what: str = '') -> str:
    """Name the first items, and how many more there are."""
    items = [str(item) for item in items]
    more = f' and {len(items) - most} more{what}' if len(items) > most else ''
    return ', '.join(items[:most]) + more
