"""Label maps: from the values or colours of label files to class indices."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from msseg.utils.arguments import fits

_RANGE = re.compile(r'\s*([0-9]{1,18})\s*-\s*([0-9]{1,18})?\s*')
_COLOUR = re.compile(r'[ (]*([0-9]{1,18})[ )]*(?:,[ (]*([0-9]+)[ )]*,[ (]*([0-9]+)[ )]*)?')


class LabelMap(dict):
    """From file values, ranges of them or (r, g, b) colours to class indices.

    A range is found by each of its values.

    Examples:
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

    Examples:
        >>> parse_label_map({'0': 255, '1-9': 0, '128,0,0': 1}, 'CustomDataset')
        {0: 255, range(1, 10): 0, (128, 0, 0): 1}
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
        if not fits(value, int):
            raise ValueError(
                f'{who}: label_map maps {key!r} to {value!r}; expected a class index or '
                'ignore_index'
            )
        parsed[new], texts[new] = int(value), key
    return parsed


def check_label_targets(
    label_map: Mapping[object, int],
    num_classes: int,
    ignore_index: int,
    reduce_zero_label: bool,
    who: str,
) -> None:
    """Raise ValueError unless a label map leads to class indices and ignore_index only.

    With `reduce_zero_label`, 0 stands for no class, and class i for i + 1, after mapping.
    """
    most = num_classes if reduce_zero_label else num_classes - 1
    for key, target in label_map.items():
        if target == ignore_index or 0 <= target <= most:
            continue
        indices = f'a class index from 0 to {most}'
        if reduce_zero_label:
            indices = f'0 (no class) to {most} (class index + 1, as reduce_zero_label=True asks)'
        raise ValueError(
            f'{who}: label_map maps {key!r} to {target}, which is no class of {num_classes}; '
            f'expected {indices}, or ignore_index={ignore_index} for pixels that do not count'
        )


def map_values(label: np.ndarray, mapping: dict[int | range, int]) -> np.ndarray:
    """Replace values; those that the mapping lacks stay.

    Args:
        label: (h, w) of whole numbers, 0 or more.
        mapping: Old values, or ranges of them, to new ones.

    Returns:
        (h, w) uint8 where all fits, else int32.

    Examples:
        >>> map_values(np.array([[0, 1, 255]], np.uint8), {255: 1, 1: 0})
        array([[0, 0, 1]], dtype=uint8)
    """
    if not mapping:
        return smallest(label)
    is_table = label.dtype == np.uint8
    old = np.arange(256) if is_table else label.astype(np.int64)
    new = old.copy()
    for key, target in mapping.items():
        is_range = isinstance(key, range)
        new[(old >= key.start) & (old < key.stop) if is_range else old == key] = target
    if not is_table:
        return smallest(new)
    if new.min() >= 0 and new.max() <= 255:
        return cv2.LUT(label, new.astype(np.uint8))
    return smallest(new[label])


def smallest(label: np.ndarray) -> np.ndarray:
    """Return a label as uint8 where its values fit, else as int32."""
    if label.dtype == np.uint8:
        return label
    is_byte = label.size == 0 or (label.min() >= 0 and label.max() <= 255)
    return label.astype(np.uint8 if is_byte else np.int32)


def _overlap(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) or isinstance(other, tuple):
        return one == other
    one, other = (key if isinstance(key, range) else range(key, key + 1) for key in (one, other))
    return one.start < other.stop and other.start < one.stop


def _parse_key(key: object, who: str) -> int | range | tuple[int, int, int]:
    parts = key
    if isinstance(key, str):
        if found := _RANGE.fullmatch(key):
            first, last = int(found[1]), int(found[2] or sys.maxsize - 1)
            if first > last:
                raise ValueError(
                    f'{who}: label_map has the key {key!r}, a range that ends before it begins'
                )
            return range(first, last + 1)
        found = _COLOUR.fullmatch(key)
        if not found:
            raise ValueError(
                f"{who}: label_map has the key {key!r}; expected a value such as '255', a range "
                "such as '3-7', '0-7' or '1-' (all from 1), or a colour such as '128,0,0'"
            )
        parts = [int(part) for part in found.groups() if part]
        parts = parts[0] if len(parts) == 1 else parts
    if fits(parts, int) and parts >= 0:
        return int(parts)
    if fits(parts, tuple[int, int, int]) and all(0 <= part <= 255 for part in parts):
        return tuple(int(part) for part in parts)
    raise ValueError(
        f'{who}: label_map has the key {key!r}; expected a value of 0 or more, or a colour '
        '(r, g, b) of three numbers in [0, 255]'
    )
