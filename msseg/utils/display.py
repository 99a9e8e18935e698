"""Arrays to look at: images of any values as bytes, labels as colours, and both blended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from msseg.utils.errors import UserValueError

_IGNORED = (255, 255, 255)
# For images of other types than uint8: the percentiles that become black and white, the side of the
# grid of pixels that they are computed from, and the largest value of floats in [0, 1].
_LIMITS_PERCENT, _LIMITS_SIDE, _LARGEST_FRACTION = (0.5, 99.5), 500, 1.5
_SHOWN_PERCENT = (2.0, 98.0)  # of chosen bands, each by itself, as maps are usually drawn

Limits = tuple[float, float] | tuple[tuple[float, float], ...]


class Display(NamedTuple):
    """How a loaded image is shown.

    Attributes:
        channels: Indices of the channels that are shown as red, green and blue, or of the one that
            is shown as grey. Empty: see `as_bgr`.
        percentiles: The percentiles of each shown channel that become black and white; None for
            those of `display_limits`.
    """

    channels: tuple[int, ...] = ()
    percentiles: tuple[float, float] | None = None

    @classmethod
    def of_loader(cls, loader: Any) -> Display:
        """Return what a `LoadImageFromFile` says; the default for a user's own step."""
        channels = getattr(loader, 'shown_channels', ())
        return cls(channels, getattr(loader, 'show_percentiles', None))

    def pick(self, image: np.ndarray) -> np.ndarray:
        """Return the shown channels, (h, w, 3) as blue, green, red or (h, w, 1)."""
        planes = image.reshape(*image.shape[:2], -1)
        count = planes.shape[2]
        channels = self.channels[::-1] or range(3 if count >= 3 else 1)
        if max(channels) >= count:
            raise UserValueError(
                key='show_bands',
                got=[channel + 1 for channel in self.channels],
                expected=f'numbers up to {count}, the channels that are loaded',
                who='LoadImageFromFile',
            )
        return planes[..., list(channels)]


_PLAIN = Display()


def display_limits(
    image: np.ndarray, display: Display = _PLAIN, no_data: np.ndarray | None = None
) -> Limits:
    """Return the values of a loaded image to show as black and as white.

    These are 0 and 255 for bytes, and for fractions on their scale; else nearly the smallest and
    largest values. With chosen channels or percentiles there is a pair for each channel.

    Args:
        image: The image, or a smaller copy of it.
        display: How it is shown.
        no_data: Its pixels that do not count, (h, w).
    """
    is_chosen = bool(display.channels) and image.dtype != np.uint8
    if display.percentiles is None and not is_chosen and image.dtype == np.uint8:
        return 0, 255
    step = max(max(image.shape[:2]) // _LIMITS_SIDE, 1)
    values = display.pick(image[::step, ::step, ...])
    values = values[~no_data[::step, ::step]] if no_data is not None else values
    values = values.reshape(-1, values.shape[-1])
    if display.percentiles is None and not is_chosen:
        return _joint_limits(image, values)
    percentiles = display.percentiles or _SHOWN_PERCENT
    return tuple(_channel_limits(column, percentiles) for column in values.T)


def _channel_limits(values: np.ndarray, percentiles: tuple[float, float]) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    low, high = np.percentile(values, percentiles).tolist() if values.size else (0.0, 0.0)
    return (low, high) if low < high else (low, low + 1)


def _joint_limits(image: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    if not values.size:
        return 0, 255
    smallest, largest = float(values.min()), float(values.max())
    if image.dtype.kind == 'f' and smallest >= 0 and _LARGEST_FRACTION < largest <= 255:
        return 0, 255
    low, high = np.percentile(values, _LIMITS_PERCENT).tolist()
    if low < high:
        return low, high
    return (smallest, largest) if smallest < largest else (0, max(largest, 1))


def as_bgr(
    image: np.ndarray, limits: Limits | None = None, display: Display = _PLAIN
) -> np.ndarray:
    """Return a loaded image as uint8 (h, w, 3), to look at.

    Args:
        image: (h, w) or (h, w, c). Of more than three channels the first three are shown as blue,
            green and red, of two the first as grey, unless `display` names others.
        limits: Values to show as black and white, `display_limits` by default.
        display: How it is shown.
    """
    if limits is None:
        limits = display_limits(image, display)
    image = display.pick(image)
    if image.dtype != np.uint8 or limits != (0, 255):
        low, high = np.array(limits, np.float32).T
        values = np.clip(np.nan_to_num(image.astype(np.float32)), low, high) - low
        image = np.rint(values * (255 / (high - low))).clip(0, 255).astype(np.uint8)
    if image.shape[2] == 3:
        return np.ascontiguousarray(image)
    return cv2.cvtColor(np.ascontiguousarray(image[..., 0]), cv2.COLOR_GRAY2BGR)


def colour_labels(labels: np.ndarray, palette: Sequence[Sequence[int]]) -> np.ndarray:
    """Return a label map (h, w) in colours, BGR uint8 (h, w, 3).

    Labels beyond the palette (ignored pixels) become white.
    """
    table = np.vstack([np.asarray(palette, np.uint8).reshape(-1, 3), [_IGNORED]]).astype(np.uint8)
    known = (labels >= 0) & (labels < len(palette))
    return table[np.where(known, labels, len(palette))][..., ::-1]


def blend_labels(
    image: np.ndarray,
    labels: np.ndarray,
    palette: Sequence[Sequence[int]],
    opacity: float = 0.5,
    untinted: Sequence[int] = (),
) -> np.ndarray:
    """Blend a label map with an image.

    Args:
        image: BGR uint8 (h, w, 3).
        labels: Integers (h, w).
        palette: RGB of each class.
        opacity: Opacity of the labels, from 0 (image only) to 1 (labels only).
        untinted: Classes whose pixels keep the image's colours.

    Returns:
        BGR uint8 (h, w, 3).

    >>> image, labels = np.full((1, 2, 3), 100, np.uint8), np.array([[0, 1]])
    >>> blend_labels(image, labels, [(0, 0, 0), (200, 200, 200)], untinted=[0])[0, :, 0].tolist()
    [100, 150]
    """
    if labels.shape != image.shape[:2]:
        raise ValueError(
            f'the labels are of size {labels.shape}, but the image is of {image.shape[:2]} '
            '(height, width); they must be of one size'
        )
    colours = np.ascontiguousarray(colour_labels(labels, palette))
    blended = cv2.addWeighted(image, 1 - opacity, colours, opacity, 0)
    if untinted:
        is_bare = np.isin(labels, untinted)
        blended[is_bare] = image[is_bare]
    return blended


def count_pixels(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Return how many pixels (h, w) each class has, int64 (num_classes,)."""
    is_class = (labels >= 0) & (labels < num_classes)
    return np.bincount(labels[is_class], minlength=num_classes)
