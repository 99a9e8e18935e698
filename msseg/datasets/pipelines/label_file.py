"""Reading label files as class indices, never as colours."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import UnidentifiedImageError

from msseg.utils.image_file import check_pixels, read_bytes
from msseg.utils.image_header import opened_by_pillow, read_header

_PNG_GREY, _PNG_PALETTE = 0, 3
_INDEX_MODES = ('L', 'P', '1', 'I', 'I;16', 'I;16B', 'I;16L')
_RANGE = re.compile(r'\s*([0-9]{1,18})\s*-\s*([0-9]{1,18})?\s*')
_HEADER_BYTES = 26  # signature, IHDR up to the colour type


class LabelMap(dict):
    """From file values, ranges of them or (r, g, b) colours to class indices.

    Ranges are kept as they are and found by each of their values.

    Example:
        >>> label_map = LabelMap({0: 0, range(1, 100): 1})
        >>> label_map[7], 7 in label_map, label_map.get(100)
        (1, True, None)
    """

    def __missing__(self, value: object) -> int:
        if isinstance(value, (int, np.integer)):
            for key, index in self.items():
                # of another type than int, a range would compare one after the other
                if isinstance(key, range) and int(value) in key:
                    return index
        raise KeyError(value)

    def __contains__(self, value: object) -> bool:
        return self.get(value) is not None

    def get(self, value: object, default: Any = None) -> Any:
        try:
            return self[value]
        except KeyError:
            return default


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
    data = read_bytes(path)
    label_map = label_map or {}
    by_colour = {k: v for k, v in label_map.items() if isinstance(k, tuple)}
    by_value = {k: v for k, v in label_map.items() if not isinstance(k, tuple)}
    raw = decode_label(data, path)
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
                'used; save each as a file of its own'
            )
    png = data[:8] == b'\x89PNG\r\n\x1a\n' and len(data) >= _HEADER_BYTES
    if png and data[25] == _PNG_GREY and data[24] >= 8:
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
        if png and data[25] == _PNG_GREY and data[24] < 8:  # Pillow stretches these to 0..255
            return label // (255 // (2 ** data[24] - 1))
        return label
    if img.mode == 'RGB' and header is not None and header.bits <= 8:
        return np.array(img)
    raise ValueError(
        f'{path}: the label is {header.form if header else img.mode}; expected one channel of '
        'whole numbers, a palette, or RGB of 8 bits with label_map. Save it as single-channel PNG'
    )


def map_values(label: np.ndarray, mapping: dict[int | range, int]) -> np.ndarray:
    """Replace values; those that the mapping lacks stay.

    Args:
        label: (h, w) of whole numbers, 0 or more.
        mapping: Old values, or ranges of them, to new ones.

    Returns:
        (h, w) uint8 where all fits, else int32.
    """
    if not mapping:
        return _smallest(label)
    if label.dtype == np.uint8:
        table = np.arange(256)
        for old, new in mapping.items():
            if isinstance(old, range):
                table[old.start : old.stop] = new
            elif 0 <= old < 256:
                table[old] = new
        if table.min() >= 0 and table.max() <= 255:
            return cv2.LUT(label, table.astype(np.uint8))
        return _smallest(table[label])
    label = label.astype(np.int64)
    mapped = label.copy()
    for old, new in mapping.items():
        is_range = isinstance(old, range)
        mapped[(label >= old.start) & (label < old.stop) if is_range else label == old] = new
    return _smallest(mapped)


def parse_label_map(label_map: dict | None, who: str) -> LabelMap | None:
    """Check a `label_map` and bring its keys into one form.

    Args:
        label_map: From file values or RGB colours to class indices. Keys may be texts, as JSON
            and YAML have them: ``'255'`` or ``'128,0,0'``; and ranges, both ends included:
            ``'3-7'``, or ``'1-'`` for all values from 1.
        who: Whose argument it is, for errors.

    Returns:
        Keys int, range or (r, g, b), values int. None stays None.

    Raises:
        TypeError, ValueError: It is no such mapping.
    """
    if label_map is None:
        return None
    if not isinstance(label_map, dict) or not label_map:
        raise TypeError(
            f'{who}: label_map={label_map!r}; expected a dict from values or (r, g, b) colours '
            'to class indices, such as {255: 1} or {(128, 0, 0): 1}'
        )
    parsed, texts = LabelMap(), {}
    for key, value in label_map.items():
        new = _parse_key(key, who)
        other = next((old for old in parsed if _overlap(old, new)), None)
        if other is not None:
            raise ValueError(
                f'{who}: label_map has the keys {texts[other]!r} and {key!r}, which overlap; give '
                "each value once, such as {'1-254': 1, 255: 255, '256-': 1}"
            )
        parsed[new] = _parse_index(key, value, who)
        texts[new] = key
    return parsed


def _overlap(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) or isinstance(other, tuple):
        return one == other
    one, other = (key if isinstance(key, range) else range(key, key + 1) for key in (one, other))
    return one.start < other.stop and other.start < one.stop


def _map_colours(raw: np.ndarray, by_colour: dict, path: str | Path) -> np.ndarray:
    packed = raw[..., 0].astype(np.int32)
    packed = (packed << 16) | (raw[..., 1].astype(np.int32) << 8) | raw[..., 2]
    colours, inverse = np.unique(packed, return_inverse=True)
    names = [((c >> 16) & 255, (c >> 8) & 255, c & 255) for c in colours.tolist()]
    if not by_colour:
        raise ValueError(
            f'{path}: the label is an RGB picture with the colours {_some(names)}; give the data '
            f'set label_map, such as label_map={{{names[0]}: 0}}, or save indices in one channel'
        )
    unknown = [i for i, name in enumerate(names) if name not in by_colour]
    if unknown:
        counts = np.bincount(inverse.ravel())
        found = [f'{names[i]} ({counts[i]} px)' for i in unknown]
        raise ValueError(
            f'{path}: label_map lacks the colours {_some(found)}; add them, with the ignore_index '
            'for what is to be left out'
        )
    table = np.array([by_colour[name] for name in names])
    return _smallest(table[inverse].reshape(packed.shape))


def _smallest(label: np.ndarray) -> np.ndarray:
    if label.dtype == np.uint8:
        return label
    fits = label.size == 0 or (label.min() >= 0 and label.max() <= 255)
    return label.astype(np.uint8 if fits else np.int32)


def _parse_key(key: object, who: str) -> int | range | tuple[int, int, int]:
    parts = key
    if isinstance(key, str):
        found = _RANGE.fullmatch(key)
        if found:
            first, last = int(found[1]), int(found[2] or sys.maxsize - 1)
            if first > last:
                raise ValueError(
                    f'{who}: label_map has the key {key!r}, a range that ends before it begins'
                )
            return range(first, last + 1)
        parts = [p.strip(' ()') for p in key.split(',')]
        if not all(p.isascii() and p.isdigit() for p in parts):
            raise ValueError(
                f"{who}: label_map has the key {key!r}; expected a value such as '255', a range "
                "such as '3-7', '0-7' or '1-' (all from 1), or a colour such as '128,0,0'"
            )
        parts = [int(p) for p in parts]
        parts = parts[0] if len(parts) == 1 else parts
    if isinstance(parts, (int, np.integer)) and not isinstance(parts, bool) and parts >= 0:
        return int(parts)
    if isinstance(parts, (tuple, list)) and len(parts) == 3 and all(0 <= p <= 255 for p in parts):
        return tuple(int(p) for p in parts)
    raise ValueError(
        f'{who}: label_map has the key {key!r}; expected a value of 0 or more, or a colour '
        '(r, g, b) of three numbers in [0, 255]'
    )


def _parse_index(key: object, value: object, who: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ValueError(
            f'{who}: label_map maps {key!r} to {value!r}; expected a class index or ignore_index'
        )
    return int(value)


def _some(items: object, most: int = 8) -> str:
    texts = [str(item) for item in items]
    return ', '.join(texts[:most]) + (f' and {len(texts) - most} more' if len(texts) > most else '')
