"""Load image files as settings say: their channels, the scale of values, pixels without data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from msseg.utils.errors import UserValueError
from msseg.utils.image_file import check_settings, convert_raw, decode_raw
from msseg.utils.image_header import ArrayChoiceError, ImageHeader, read_header
from msseg.utils.image_values import ImageSettingError, ValueScale

FROM_FILE = 'file'
# Their files hold whole numbers without a tag for what has no data.
_UNTAGGED = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.ppm', '.pgm')
_DECODED_AS_COLOURS = ('CMYK', 'P', 'PA')


class LoadedImage(NamedTuple):
    """An image, and where it has no data.

    Attributes:
        img: (h, w, c) or (h, w).
        no_data: bool (h, w), True for pixels without data; None where all have some.
    """

    img: np.ndarray
    no_data: np.ndarray | None


def no_data_label(num_classes: int) -> int:
    """Return the label of a pixel without data: 255, with more classes 65535."""
    return 255 if num_classes <= 255 else 65535


@dataclass(frozen=True)
class ImageLoading:
    """How images are loaded; the attributes are the arguments of `LoadImageFromFile`.

    Attributes:
        color_type: A key of `COLOR_TYPES`; ``unchanged`` with `bands`.
        backend: ``cv2`` or ``pillow``.
        max_value: The value that becomes 255.
        percentiles: The percentiles of the values that become 0 and 255.
        bands: Numbers of the channels to take, from 1, in the order of the file.
        nodata: The value that stands for no data; ``file``: what a GeoTIFF's tag says.
        nodata_rule: A pixel has no data where ``any`` or ``all`` of its channels have none.
        fill: What missing values become: a number, or one for each channel.
        array: Name of the array of a ``.npz`` file; None for the only one.

    Raises:
        ValueError: Settings that exclude each other.
    """

    color_type: str = 'color'
    backend: str = 'cv2'
    max_value: float | None = None
    percentiles: tuple[float, float] | None = None
    bands: tuple[int, ...] | None = None
    nodata: float | Literal['file'] | None = FROM_FILE
    nodata_rule: Literal['any', 'all'] = 'any'
    fill: float | tuple[float, ...] = 0.0
    array: str | None = None

    def __post_init__(self) -> None:
        if self.bands is not None and self.color_type != 'unchanged':
            raise UserValueError(
                f'bands={list(self.bands)} with color_type={self.color_type!r}',
                expected="color_type='unchanged'",
                advice='leave one of them out',
            )
        if self.is_scaled:
            ValueScale(self.max_value, self.percentiles)  # refuses what makes no scale

    @property
    def is_scaled(self) -> bool:
        """Whether values become 0 to 255."""
        return self.max_value is not None or self.percentiles is not None

    def header(self, source: bytes | str | Path, path: str | Path) -> ImageHeader | None:
        """Return `read_header` of the image; an ImageSettingError names the file."""
        try:
            return read_header(source, self.array)
        except ArrayChoiceError as error:
            raise ImageSettingError(
                f'{path}: {error}: choose one with array of LoadImageFromFile'
            ) from None

    def check(self, header: ImageHeader, path: str | Path) -> None:
        """Raise ImageSettingError for a file that cannot be loaded so though it is whole."""
        check_settings(header, self.color_type, self.is_scaled, path)
        if header.mode not in _DECODED_AS_COLOURS:
            self._check_bands(header.channels, path)

    def load(self, data: bytes, path: str | Path, header: ImageHeader | None = None) -> LoadedImage:
        """Load the image of a file's content.

        Args:
            data: The content.
            path: The file's name, for errors.
            header: What `header` gave for it.

        Returns:
            Colours in BGR order, bands in that of `bands`; uint8, or float32 if values are scaled;
            ``unchanged`` without a scale has the type of the file. Missing values are `fill`.

        Raises:
            ImportError, ValueError: See `decode_image`.
        """
        header = header or self.header(data, path)
        if header is not None:
            self.check(header, path)
        raw, header = decode_raw(data, path, self.color_type, self.backend, header)
        if self.bands is not None:
            raw = self._chosen(raw, header, path)
        elif self.color_type != 'unchanged' and raw.ndim == 3:
            raw = raw[..., :3] if raw.shape[2] >= 3 else raw[..., :1]
        value = header.nodata if self.nodata == FROM_FILE else self.nodata
        missing = self._find_missing(raw, value)
        img = self._converted(raw, header, missing)
        return self._filled(img, missing, str(path))

    def load_array(self, array: np.ndarray, who: str) -> LoadedImage:
        """Load an array as `load` does the chosen channels of a file; `who` is it, for errors."""
        missing = self._find_missing(array, None if self.nodata == FROM_FILE else self.nodata)
        img = array
        if self.is_scaled:
            img = ValueScale(self.max_value, self.percentiles)(array, missing)
        return self._filled(img, missing, who)

    def may_lack_data(self, path: str | Path) -> bool:
        """Whether an image may have pixels without data, by its header."""
        if isinstance(self.nodata, (int, float)):
            return True
        if Path(path).suffix.lower() in _UNTAGGED:
            return False
        header = self.header(path, path)
        if header is None:
            return False
        return header.dtype.startswith('float') or (
            header.nodata is not None and self.nodata is not None
        )

    def _find_missing(self, values: np.ndarray, nodata: float | None) -> np.ndarray | None:
        """Return where values are `nodata` or no numbers, bool (h, w, c); None if nowhere.

        With a scale, infinite values are clipped to it.
        """
        planes = values.reshape(*values.shape[:2], -1)
        missing = None
        if nodata is not None and _holds(values.dtype, nodata):
            with np.errstate(over='ignore'):
                missing = planes == values.dtype.type(nodata)
        if values.dtype.kind == 'f':
            # what float32 does not hold is infinite to the network
            largest = np.inf if self.is_scaled else np.finfo(np.float32).max
            is_number = np.abs(planes) <= largest
            missing = ~is_number if missing is None else missing | ~is_number
        return missing if missing is not None and missing.any() else None

    def _converted(
        self, raw: np.ndarray, header: ImageHeader, missing: np.ndarray | None
    ) -> np.ndarray:
        if not self.is_scaled:
            return convert_raw(raw, header, self.color_type, None)
        scale = ValueScale(self.max_value, self.percentiles)
        return convert_raw(
            raw,
            header,
            self.color_type,
            lambda img: scale(img, None if missing is None else _like(missing, img)),
        )

    def _chosen(self, raw: np.ndarray, header: ImageHeader, path: str | Path) -> np.ndarray:
        """Return the bands; colours, which come in BGR order, count in the order of the file."""
        planes = raw.reshape(*raw.shape[:2], -1)
        count = planes.shape[2]
        self._check_bands(count, path)
        order = list(range(count))
        if header.mode and count >= 3:
            order[:3] = 2, 1, 0
        return np.ascontiguousarray(planes[..., [order[band - 1] for band in self.bands]])

    def _check_bands(self, count: int, path: str | Path) -> None:
        wrong = [band for band in self.bands or () if not 1 <= band <= count]
        if wrong:
            raise ImageSettingError(
                f'{path}: bands names band {wrong[0]}, but the image has {count}, numbered from 1'
            )

    def _filled(self, img: np.ndarray, missing: np.ndarray | None, who: str) -> LoadedImage:
        if missing is None:
            return LoadedImage(img, None)
        fill = self._fill_of(img, who)
        img = np.where(_like(missing, img), fill, img)
        # a pixel of which some channels are known still counts, if the rule says so
        count = missing.any(2) if self.nodata_rule == 'any' else missing.all(2)
        return LoadedImage(img, count if count.any() else None)

    def _fill_of(self, img: np.ndarray, who: str) -> np.ndarray:
        channels = 1 if img.ndim == 2 else img.shape[2]
        if isinstance(self.fill, Sequence) and len(self.fill) != channels:
            raise UserValueError(
                f'fill has {len(self.fill)} numbers',
                file=who,
                expected=f'one for each of the {channels} channels that are loaded, or one for all',
            )
        fill = np.array(self.fill, np.float64)
        if img.dtype.kind in 'ui':
            limits = np.iinfo(img.dtype)
            fill = np.rint(fill).clip(limits.min, limits.max)
        return (fill[0] if fill.ndim and img.ndim == 2 else fill).astype(img.dtype)


def _holds(dtype: np.dtype, value: float) -> bool:
    """Whether a value can occur in an array of a type."""
    if dtype.kind == 'f':
        return True
    if dtype.kind not in 'ui' or not math.isfinite(value) or int(value) != value:
        return False
    limits = np.iinfo(dtype)
    return limits.min <= value <= limits.max


def _like(missing: np.ndarray, img: np.ndarray) -> np.ndarray:
    """Return a mask (h, w, c) with the channels of an image, which may have become colours."""
    channels = 1 if img.ndim == 2 else img.shape[2]
    if missing.shape[2] != channels:
        missing = np.repeat(missing.any(2, keepdims=True), channels, axis=2)
    return missing[..., 0] if img.ndim == 2 else missing
