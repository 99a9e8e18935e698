"""Arithmetic on arrays that several transforms share: pure functions.

Images are (h, w) or (h, w, c), labels (h, w). Sizes are (h, w) unless a name says ``wh``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from msseg.utils.image_file import check_pixels
from msseg.utils.logging import warn_once

_MOST_VALUES = 4  # of a border, in OpenCV
_LARGEST_FRACTION = 1.5  # reflectances exceed 1

INTERPOLATIONS = {
    'nearest': cv2.INTER_NEAREST,
    'bilinear': cv2.INTER_LINEAR,
    'bicubic': cv2.INTER_CUBIC,
    'area': cv2.INTER_AREA,
    'lanczos': cv2.INTER_LANCZOS4,
}


def resize(img: np.ndarray, size: tuple[int, int], interpolation: str = 'bilinear') -> np.ndarray:
    """Resize an array to (h, w); ValueError where that is larger than an image may be."""
    check_pixels(size, f'resizing an image of {img.shape[0]}x{img.shape[1]}')
    return cv2.resize(img, (size[1], size[0]), interpolation=INTERPOLATIONS[interpolation])


def check_byte_scale(img: np.ndarray, who: str) -> None:
    """Raise ValueError unless an image's values are from 0 to 255, uint8 or float.

    A warning is logged once for real numbers that look like fractions.
    """
    is_scaled = img.dtype == np.uint8
    if img.dtype.kind == 'f' and img.size:
        is_scaled = img.min() >= 0 and img.max() <= 255
        if is_scaled and 0 < img.max() <= _LARGEST_FRACTION:
            warn_once(
                f'{who}: an image has values from {img.min():g} to {img.max():g}, and is changed '
                'as if 255 were white: load fractions with max_value=1 of LoadImageFromFile, or '
                'use BandDistortion, which takes any scale',
                f'fractions {who}',
            )
    if not is_scaled:
        raise ValueError(
            f'{who}: the image is {img.dtype} with values from {img.min():g} to {img.max():g}, '
            'expected 0 to 255: place it before Normalize, and load images of more than 8 bits '
            'with max_value (or percentiles) of LoadImageFromFile; BandDistortion takes any scale'
        )


def multiple_of(size: tuple[int, int], divisor: int | Sequence[int]) -> tuple[int, int]:
    """Return the smallest size (h, w) not below `size` that is a multiple of `divisor`.

    Examples:
        >>> multiple_of((500, 1000), 32)
        (512, 1024)
    """
    by_h, by_w = (divisor, divisor) if isinstance(divisor, int) else divisor
    return -(-size[0] // by_h) * by_h, -(-size[1] // by_w) * by_w


def with_border(
    img: np.ndarray,
    value: float | Sequence[float],
    apply: Callable[[np.ndarray, tuple[float, ...]], np.ndarray],
    who: str,
) -> np.ndarray:
    """Apply a function of OpenCV that takes a border value, to any number of channels.

    Args:
        img: (h, w) or (h, w, c).
        value: One number for all channels, or one for each.
        apply: The function of an image and its border value, of which OpenCV takes four numbers.
        who: Transform and argument, for the error.

    Raises:
        ValueError: There are several numbers, but not one for each channel.
    """
    channels = 1 if img.ndim == 2 else img.shape[2]
    if not isinstance(value, Sequence):
        return apply(img, (value,) * min(channels, _MOST_VALUES))
    if len(value) != channels:
        raise ValueError(
            f'{who} has {len(value)} numbers, but the image has {channels} channels; give one '
            'number for all, or one for each'
        )
    if channels <= _MOST_VALUES:
        return apply(img, tuple(value))
    parts = [
        apply(np.ascontiguousarray(img[..., i : i + _MOST_VALUES]), tuple(value[i:][:_MOST_VALUES]))
        for i in range(0, channels, _MOST_VALUES)
    ]
    return np.concatenate([part.reshape(*part.shape[:2], -1) for part in parts], axis=2)


def fillable(label: np.ndarray, value: int, results: dict, who: str) -> np.ndarray:
    """Return a label, of a wider type where it needs one to hold what it is to be filled with.

    Args:
        label: (h, w).
        value: What it is to be filled with.
        results: The sample, for its ``num_classes`` and ``ignore_index``.
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
