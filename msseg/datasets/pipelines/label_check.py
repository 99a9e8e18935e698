"""Labels are checked where they are loaded: a wrong value is found with its file, at once."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

_MOST_NAMED = 10


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
        The label, of the type that `label_dtype` gives.

    Raises:
        ValueError: Another value occurs; names the file, the values and their pixel counts.
    """
    if not _has_wrong_byte(label, num_classes, ignore_index):
        return label
    values = np.unique(label).tolist()
    wrong = [v for v in values if not 0 <= v < num_classes and v != ignore_index]
    if wrong:
        raise ValueError(_wrong_values(label, values, wrong, num_classes, ignore_index, path))
    return label.astype(label_dtype(num_classes, ignore_index), copy=False)


def check_label_targets(
    label_map: Mapping[object, int],
    num_classes: int,
    ignore_index: int,
    reduce_zero_label: bool,
    who: str,
) -> None:
    """Check that a label map leads to class indices and ignore_index only.

    Args:
        label_map: From what files hold to indices, as `parse_label_map` gives it.
        num_classes: Number of the data set's own classes.
        ignore_index: The value of pixels that do not count.
        reduce_zero_label: Whether 0 stands for no class, and class i for i + 1, after mapping.
        who: Whose argument it is, for errors.

    Raises:
        ValueError: It maps something to another value.
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


def label_dtype(num_classes: int, ignore_index: int) -> np.dtype:
    """Return the smallest of uint8, int16 and int32 that holds all classes and ignore_index."""
    low, high = min(ignore_index, 0), max(ignore_index, num_classes - 1)
    kinds = map(np.dtype, (np.uint8, np.int16, np.int32))
    return next(k for k in kinds if np.iinfo(k).min <= low and high <= np.iinfo(k).max)


def fillable(label: np.ndarray, value: int, results: dict, who: str) -> np.ndarray:
    """Return a label, of a wider type where it needs one to hold what it is to be filled with.

    Args:
        label: (h, w).
        value: What it is to be filled with.
        results: The sample; its ``num_classes`` and ``ignore_index`` say what the value may be.
        who: Transform and argument, for the error.

    Raises:
        ValueError: The value is neither a class nor ignore_index.
    """
    num_classes, ignore_index = results.get('num_classes'), results.get('ignore_index', 255)
    if num_classes is not None and value != ignore_index and not 0 <= value < num_classes:
        raise ValueError(
            f'{who} is {value}, neither ignore_index={ignore_index} of the data set nor one of '
            f'its {num_classes} classes; set it to {ignore_index}'
        )
    limits = np.iinfo(label.dtype)
    return label if limits.min <= value <= limits.max else label.astype(np.int32)


def _has_wrong_byte(label: np.ndarray, num_classes: int, ignore_index: int) -> bool:
    """Tell, fast, whether a label has to be looked at: False for bytes that are all right."""
    if label.dtype != np.uint8 or label_dtype(num_classes, ignore_index) != np.uint8:
        return True
    gaps = ((num_classes, ignore_index - 1), (max(num_classes, ignore_index + 1), 255))
    return any(
        low <= high and cv2.countNonZero(cv2.inRange(label, low, high)) for low, high in gaps
    )


def _wrong_values(
    label: np.ndarray,
    values: list[int],
    wrong: list[int],
    num_classes: int,
    ignore_index: int,
    path: str,
) -> str:
    named = ', '.join(f'{v} ({np.count_nonzero(label == v)} px)' for v in wrong[:_MOST_NAMED])
    more = f' and {len(wrong) - _MOST_NAMED} more values' if len(wrong) > _MOST_NAMED else ''
    foreground = next((v for v in values if v), None)
    if num_classes == 2 and len(values) <= 2 and set(values) <= {0, foreground}:
        advice = f'if {foreground} means class 1, give the data set label_map={{{foreground}: 1}}'
    elif num_classes == 2 and len(wrong) > 1 and 0 in values:
        advice = (
            "if the values number the objects of class 1, give the data set label_map={'1-': 1}; "
            'or add the missing classes'
        )
    elif num_classes == 1:
        advice = 'what is not of the one class is a class, too: name two, and set num_classes=2'
    elif wrong == [num_classes] and 0 in values:
        advice = (
            'if 0 stands for no class and classes count from 1, give the data set '
            'reduce_zero_label=True'
        )
    else:
        advice = (
            f'map such values with label_map={{{wrong[0]}: …}}, ignore them with '
            f'label_map={{{wrong[0]}: {ignore_index}}}, or add the missing classes'
        )
    return (
        f'{path}: label values {named}{more} are outside [0, {num_classes}) for {num_classes} '
        f'classes and are not ignore_index={ignore_index}; {advice}'
    )
