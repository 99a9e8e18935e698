"""Scale values of more than 8 bits, and find what loading leaves out of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

import cv2
import numpy as np

from msseg.utils.arguments import Ordered, Positive, Range, checked
from msseg.utils.image_header import ImageHeader

_Percentile = Annotated[float, Range(0, 100)]
Percentiles = Annotated[tuple[_Percentile, _Percentile], Ordered(strictly=True)]

_WHITE = 255.0
_NO_COLOUR_CHANNELS = ('CMYK', 'P')  # which decoders turn into colours
_USUAL_LARGEST = (1.0, 255.0, 1023.0, 4095.0, 16383.0, 65535.0)


class ImageSettingError(ValueError):
    """An image file that is whole needs another setting; the message names file and setting."""


class ValueScale:
    """Brings an image's values to the scale of bytes, 0 to 255, without rounding them.

    Args:
        max_value: The value that becomes 255; larger values are clipped. Images of 8 bits keep
            their values.
        percentiles: Two numbers; these percentiles of each image become 0 and 255.

    Raises:
        ValueError: Both or neither, or values that make no scale.
    """

    @checked
    def __init__(
        self, max_value: Positive | None = None, percentiles: Percentiles | None = None
    ) -> None:
        if (max_value is None) == (percentiles is None):
            raise ValueError(
                f'max_value={max_value!r}, percentiles={percentiles!r}; give one of them'
            )
        self.max_value = max_value
        self.percentiles = percentiles

    def __call__(self, img: np.ndarray, missing: np.ndarray | None = None) -> np.ndarray:
        """Return float32 of the same shape; values that are `missing` do not count."""
        values = img.astype(np.float32)
        low, high = 0.0, _WHITE if img.dtype == np.uint8 else self.max_value
        if self.percentiles is not None:
            is_known = np.isfinite(values)
            known = values[is_known if missing is None else is_known & ~missing]
            low, high = np.percentile(known, self.percentiles) if known.size else (0.0, 1.0)
        if img.dtype != np.uint8 or self.percentiles is not None:
            values = (values - np.float32(low)) * np.float32(_WHITE / max(high - low, 1e-12))
        return np.clip(np.nan_to_num(values, posinf=_WHITE, neginf=0.0), 0.0, _WHITE)


class Unused(NamedTuple):
    """Something in a file that is not loaded.

    Attributes:
        kind: ``bits``, ``channels`` or ``pages``.
        holds: What the file holds.
        taken: What is loaded of it.
        advice: How to load all.
    """

    kind: str
    holds: str
    taken: str
    advice: str

    def __str__(self) -> str:
        return f'holds {self.holds}, of which {self.taken}: {self.advice}'


def find_unused(header: ImageHeader, color_type: str, is_scaled: bool) -> list[Unused]:
    """Return what an image file holds and loading leaves out.

    Args:
        header: The file's.
        color_type: As `LoadImageFromFile` has it.
        is_scaled: Whether it has ``max_value`` or ``percentiles``.
    """
    found = []
    is_unchanged = color_type == 'unchanged'
    if header.bits > 8 and header.dtype == 'uint16' and not (is_scaled or is_unchanged):
        advice = (
            'set max_value of LoadImageFromFile to the largest value (4095 for 12 bits), or '
            'percentiles=(1, 99)'
        )
        holds = f'{header.bits} bits a channel'
        found.append(Unused('bits', holds, 'the upper 8 bits are taken', advice))
    is_cut = color_type.startswith('color') and header.channels > 3
    if (is_cut or (header.channels == 2 and not is_unchanged)) and (
        header.mode not in _NO_COLOUR_CHANNELS
    ):
        taken = '3 are taken' if is_cut else '1 is taken'
        holds = f'{header.channels} channels{f" ({header.mode})" if header.mode else ""}'
        advice = (
            f"set color_type='unchanged' of LoadImageFromFile, in_channels={header.channels} of "
            'the backbone, and as many numbers in mean and std of Normalize'
        )
        found.append(Unused('channels', holds, taken, advice))
    if header.pages > 1:
        advice = 'save the pages as files of their own'
        found.append(Unused('pages', f'{header.pages} pages', 'the first is taken', advice))
    return found


def largest_value(img: np.ndarray) -> str:
    """Say up to which value an image goes, and the ``max_value`` that suits it."""
    largest = float(np.nanmax(img)) if img.size else 0.0
    usual = next((value for value in _USUAL_LARGEST if largest <= value), largest)
    return f'values to {largest:g}, so max_value={usual:g}'


def as_color_type(img: np.ndarray, color_type: str) -> np.ndarray:
    """Turn an image in the file's own type into (h, w, 3), BGR, or (h, w) for grayscale."""
    channels = 1 if img.ndim == 2 else img.shape[2]
    img = img.reshape(*img.shape[:2], channels)
    img = img if channels >= 3 else img[..., :1]
    if img.dtype.name not in ('uint8', 'uint16', 'float32'):
        img = img.astype(np.float32)
    if color_type.startswith('color'):
        return np.ascontiguousarray(img[..., :3] if channels >= 3 else np.repeat(img, 3, axis=2))
    if channels < 3:
        return np.ascontiguousarray(img[..., 0])
    return cv2.cvtColor(np.ascontiguousarray(img[..., :3]), cv2.COLOR_BGR2GRAY)


def check_colours(header: ImageHeader, path: str | Path) -> None:
    """Raise ValueError for a file whose channels are no colours: its first ones mean nothing."""
    is_unnamed = header.kind == 'TIFF' and not header.mode and header.channels > 1
    if header.channels > 4 or is_unnamed:
        raise ImageSettingError(
            f'{path}: holds {header.channels} channels that it does not call colours; load it with '
            f"color_type='unchanged', and set in_channels={header.channels} of the backbone"
        )


def turn_upright(img: np.ndarray, orientation: int) -> np.ndarray:
    """Turn an image by EXIF's orientation."""
    if orientation >= 5:
        img = img.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        img = img[:, ::-1]
    if orientation in (3, 4, 7, 8):
        img = img[::-1]
    return img
