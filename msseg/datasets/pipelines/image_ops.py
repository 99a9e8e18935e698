"""Geometry and arithmetic on arrays that several transforms share: pure functions.

Images are (h, w) or (h, w, c), labels (h, w). Sizes are (h, w) unless a name says ``wh``.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from msseg.utils.image_file import check_pixels

INTERPOLATIONS = {
    'nearest': cv2.INTER_NEAREST,
    'bilinear': cv2.INTER_LINEAR,
    'bicubic': cv2.INTER_CUBIC,
    'area': cv2.INTER_AREA,
    'lanczos': cv2.INTER_LANCZOS4,
}


def resize(img: np.ndarray, size: tuple[int, int], interpolation: str = 'bilinear') -> np.ndarray:
    """Resize an array to (h, w).

    Raises:
        ValueError: The result would be larger than an image may be.
    """
    check_pixels(size, f'resizing an image of {img.shape[0]}x{img.shape[1]}')
    return cv2.resize(img, (size[1], size[0]), interpolation=INTERPOLATIONS[interpolation])


def check_byte_scale(img: np.ndarray, who: str) -> None:
    """Raise ValueError unless an image's values are from 0 to 255, uint8 or float."""
    is_scaled = img.dtype == np.uint8
    if img.dtype.kind == 'f' and img.size:
        is_scaled = img.min() >= 0 and img.max() <= 255
    if not is_scaled:
        raise ValueError(
            f'{who}: the image is {img.dtype} with values from {img.min():g} to {img.max():g}, '
            'expected 0 to 255: place it before Normalize, and load images of more than 8 bits '
            'with max_value (or percentiles) of LoadImageFromFile'
        )


def multiple_of(size: tuple[int, int], divisor: int | Sequence[int]) -> tuple[int, int]:
    """Return the smallest size (h, w) not below `size` that is a multiple of `divisor`."""
    by_h, by_w = (divisor, divisor) if isinstance(divisor, int) else (divisor[0], divisor[1])
    return -(-size[0] // by_h) * by_h, -(-size[1] // by_w) * by_w


def pad_to(img: np.ndarray, size: tuple[int, int], value: float | Sequence[float]) -> np.ndarray:
    """Pad at the bottom and the right up to (h, w); a larger image stays as it is.

    Args:
        img: An image or label.
        size: Wanted size (h, w).
        value: What to fill with: one number for all channels, or one for each.

    Returns:
        The padded array; `img` itself when nothing is missing.
    """
    bottom, right = max(size[0] - img.shape[0], 0), max(size[1] - img.shape[1], 0)
    if bottom == 0 and right == 0:
        return img
    channels = 1 if img.ndim == 2 else img.shape[2]
    fill = tuple(value) if isinstance(value, Sequence) else (value,) * min(channels, 4)
    return cv2.copyMakeBorder(img, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=fill)


def flip(img: np.ndarray, direction: str) -> np.ndarray:
    """Mirror left to right (``horizontal``) or top to bottom (``vertical``)."""
    return cv2.flip(img, 1 if direction == 'horizontal' else 0)


def rotate(
    img: np.ndarray,
    angle: float,
    fill: float | Sequence[float],
    interpolation: str,
    center: tuple[float, float] | None,
    auto_bound: bool,
) -> np.ndarray:
    """Rotate clockwise.

    Args:
        img: An image or label.
        angle: Degrees.
        fill: Value outside the image: one number for all channels, or one for each.
        interpolation: A key of `INTERPOLATIONS`.
        center: Centre (x, y); the image's own by default.
        auto_bound: Enlarge the result to hold the whole rotated image.

    Returns:
        The rotated array.

    Source: MMCV 1.7 ``mmcv.imrotate``.
    """
    h, w = img.shape[:2]
    if center is None:
        center = ((w - 1) * 0.5, (h - 1) * 0.5)
    matrix = cv2.getRotationMatrix2D(tuple(center), -angle, 1.0)
    if auto_bound:
        cos, sin = abs(matrix[0, 0]), abs(matrix[0, 1])
        new_w, new_h = h * sin + w * cos, h * cos + w * sin
        matrix[0, 2] += (new_w - w) * 0.5
        matrix[1, 2] += (new_h - h) * 0.5
        w, h = int(np.round(new_w)), int(np.round(new_h))
    channels = 1 if img.ndim == 2 else img.shape[2]
    border = tuple(fill) if isinstance(fill, Sequence) else (fill,) * min(channels, 4)
    # OpenCV warps no int32; float64 holds its values exactly
    source = img.astype(np.float64) if img.dtype == np.int32 else img
    rotated = cv2.warpAffine(
        source, matrix, (w, h), flags=INTERPOLATIONS[interpolation], borderValue=border
    )
    return rotated.astype(img.dtype, copy=False)


def count_values(label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count how often each value occurs in a label.

    Args:
        label: (h, w) uint8, int16 or int32.

    Returns:
        The values that occur, and how often, int64.
    """
    if label.dtype == np.uint8 and label.size < 2**24:  # the histogram counts in float32
        counts = cv2.calcHist([label], [0], None, [256], [0, 256]).ravel().astype(np.int64)
        values = np.flatnonzero(counts)
        return values, counts[values]
    return np.unique(label, return_counts=True)
