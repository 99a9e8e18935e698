"""Scans of one image and its label, which return problems instead of raising errors.

Worker processes import this module; it imports little, so that they start fast and stay small.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np
from PIL import UnidentifiedImageError

from msseg.datasets.pipelines.label_file import decode_label
from msseg.utils.image_bytes import is_whole
from msseg.utils.image_file import check_pixels, decode_image
from msseg.utils.image_header import PILLOW_ERRORS, ImageHeader, opened_by_pillow, read_header
from msseg.utils.image_loading import ImageLoading, LoadedImage
from msseg.utils.image_values import ImageSettingError, Unused, find_unused, largest_value
from msseg.utils.regular_file import check_regular

# Larger files are not read completely where the header alone is asked for.
LARGE_BYTES = 1 << 26
MOST_VALUES = 4096

_AS_COLOURS = ImageLoading()
_DIGEST_BYTES = 16
_BLOCK = 1 << 22
_FIRST_QUARTER_TURN = 5  # of EXIF's orientations
_GREY_MODES = ('1', 'L', 'LA', 'I', 'F')
_LABEL_MODES = ('1', 'L', 'P', 'I', 'RGB')
_CHECKED_BY_PILLOW = ('BMP', 'GIF', 'PNG', 'PPM', 'TIFF', 'WEBP', 'JPEG2000')

Problem = Literal['missing', 'empty', 'truncated', 'unreadable', 'setting', 'jpeg', 'mode']


@dataclass(frozen=True, slots=True)
class ImageScan:
    """An image as training loads it."""

    # why it cannot be loaded; if it is not None, only `detail` is set as well
    problem: Problem | None = None
    detail: str = ''  # more about the problem
    size: tuple[int, int] = (0, 0)  # (h, w) as loaded
    stored_size: tuple[int, int] = (0, 0)  # (h, w) in the file, which an EXIF orientation turns
    form: str = ''  # kind of file, mode and bits
    orientation: int = 1  # EXIF's number, 1 for upright
    is_grey: bool = False  # the file has one channel, or all its channels are equal
    is_colour: bool = False  # the file calls its channels colours, which are loaded in BGR order
    digest: bytes = b''  # of the loaded pixels; of the file's content when no pixels were decoded
    # of each loaded channel (colours in BGR order); empty when no pixels were decoded
    mean: tuple[float, ...] = ()
    variance: tuple[float, ...] = ()  # likewise
    limits: tuple[tuple[float, float], ...] = ()  # smallest and largest value, likewise
    num_known: int = 0  # pixels whose channels all have data, which these are of
    num_no_data: int = 0  # pixels without data, which do not count
    unused: tuple[Unused, ...] = ()  # what the file holds and loading leaves out
    largest: str = ''  # the largest value, in words, of a file whose bits are cut


@dataclass(frozen=True, slots=True)
class LabelScan:
    """A label as its file holds it, before label_map and the like."""

    # why it cannot be read; if it is not None, only `detail` is set as well
    problem: Problem | None = None
    detail: str = ''  # more about the problem
    size: tuple[int, int] = (0, 0)  # (h, w)
    form: str = ''  # kind of file, mode and bits
    bits: int = 8  # bits per channel
    is_colour: bool = False  # it holds colours instead of indices
    # pixels by value; by ``r << 16 | g << 8 | b`` if it holds colours
    values: dict[int, int] = field(default_factory=dict)
    num_lumped: int = 0  # pixels of values beyond those
    # RGB colour of each of the values, in palette files
    palette: dict[int, tuple[int, int, int]] = field(default_factory=dict)


class PairTask(NamedTuple):
    """The files of a sample, and how training decodes the image."""

    image: str  # path of the image
    label: str | None  # path of the label, None without one
    # None for an image that a user's transform loads, which is not scanned
    loading: ImageLoading | None = _AS_COLOURS


class PairScan(NamedTuple):
    """What a sample's files hold; None for a file that was not scanned."""

    image: ImageScan | None
    label: LabelScan | None


def scan_pair(task: PairTask, decode_image: bool = True) -> PairScan:
    """Scan an image (its header only, if `decode_image` is False) and its label."""
    image = None
    if task.loading is not None:
        image = scan_image(task.image, task.loading, decode_image)
    return PairScan(image, None if task.label is None else scan_label(task.label))


def scan_image(
    path: str,
    loading: ImageLoading = _AS_COLOURS,
    decode: bool = True,
) -> ImageScan | None:
    """Scan an image.

    Args:
        path: The file.
        loading: How it is loaded.
        decode: Decode the pixels; False reads the header only, if the format is known.

    Returns:
        None for a large file of unknown format that is not to be decoded.
    """
    try:
        if not decode and os.path.isfile(path) and os.path.getsize(path) > LARGE_BYTES:
            header = loading.header(path, path)
            return _describe_header(header, b'', loading) if header else None
        data = _read(path)
        if isinstance(data, _Unreadable):
            return ImageScan(*data)
        header = loading.header(data, path)
        if header is not None:
            loading.check(header, path)
            if not decode:
                return _describe_header(header, data, loading)
            if damage := find_damage(data, header.kind):
                return ImageScan(_problem_of(damage), damage)
        loaded = loading.load(data, path, header)
    except (ValueError, ImportError) as error:
        needs_setting = isinstance(error, (ImageSettingError, ImportError))
        problem = 'setting' if needs_setting else 'unreadable'
        return ImageScan(problem, str(error).removeprefix(f'{path}: '))
    img = loaded.img
    unused = tuple(find_unused(header, loading.color_type, loading.is_scaled)) if header else ()
    largest = ''
    if any(each.kind == 'bits' for each in unused):
        largest = largest_value(decode_image(data, path, 'unchanged', loading.backend))
    is_known = _known_pixels(loaded, loading, data, path)
    mean, deviation = cv2.meanStdDev(img, mask=is_known)
    mean, variance = tuple(mean.ravel().tolist()), tuple((deviation.ravel() ** 2).tolist())
    digest = hashlib.blake2b(repr(img.shape).encode(), digest_size=_DIGEST_BYTES)
    digest.update(np.ascontiguousarray(img).data)
    return ImageScan(
        size=img.shape[:2],
        stored_size=header.size if header else img.shape[:2],
        form=header.form if header else 'unknown to Pillow',
        orientation=header.orientation if header else 1,
        is_grey=_is_grey(img, header, mean),
        is_colour=_is_colour(header),
        digest=digest.digest(),
        mean=mean,
        variance=variance,
        limits=_limits(img, is_known),
        num_known=img.shape[0] * img.shape[1] if is_known is None else int(is_known.sum()),
        num_no_data=0 if loaded.no_data is None else int(loaded.no_data.sum()),
        unused=unused,
        largest=largest,
    )


def _known_pixels(
    loaded: LoadedImage, loading: ImageLoading, data: bytes, path: str
) -> np.ndarray | None:
    """Return where all channels have data, uint8 (h, w); None for everywhere."""
    if loading.nodata_rule == 'all':
        loaded = replace(loading, nodata_rule='any').load(data, path)
    return None if loaded.no_data is None else (~loaded.no_data).astype(np.uint8)


def _limits(img: np.ndarray, is_known: np.ndarray | None) -> tuple[tuple[float, float], ...]:
    pixels = img.reshape(*img.shape[:2], -1)[slice(None) if is_known is None else is_known > 0]
    pixels = pixels.reshape(-1, pixels.shape[-1])
    if not len(pixels):
        return ()
    return tuple(zip(pixels.min(0).tolist(), pixels.max(0).tolist(), strict=True))


def _describe_header(header: ImageHeader, data: bytes, loading: ImageLoading) -> ImageScan:
    turns = header.orientation >= _FIRST_QUARTER_TURN and turns_images(loading.color_type)
    return ImageScan(
        size=header.size[::-1] if turns else header.size,
        stored_size=header.size,
        form=header.form,
        orientation=header.orientation,
        is_grey=header.mode.split(';')[0] in _GREY_MODES,
        is_colour=_is_colour(header),
        digest=hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest() if data else b'',
        unused=tuple(find_unused(header, loading.color_type, loading.is_scaled)),
    )


def _is_colour(header: ImageHeader | None) -> bool:
    return header is None or (header.mode != '' and header.channels >= 3)


def turns_images(color_type: str) -> bool:
    """Return whether loading by a `color_type` turns images by their EXIF tag."""
    return color_type in ('color', 'grayscale')


def _is_grey(img: np.ndarray, header: ImageHeader | None, mean: tuple[float, ...]) -> bool:
    if img.ndim == 2 or (header and header.mode.split(';')[0] in _GREY_MODES):
        return True
    if img.shape[2] < 3 or not mean[0] == mean[1] == mean[2]:
        return False
    return bool((img[..., 0] == img[..., 1]).all() and (img[..., 1] == img[..., 2]).all())


def scan_label(path: str) -> LabelScan:
    """Scan a label."""
    data = _read(path)
    if isinstance(data, _Unreadable):
        return LabelScan(*data)
    header = read_header(data)
    if header is None:
        return LabelScan('unreadable', f'it is no image: it begins with {data[:8]!r}')
    try:
        check_pixels(header.size, path)
        if damage := find_damage(data, header.kind):
            return LabelScan(_problem_of(damage), damage)
        raw = decode_label(data, path)
    except ValueError as error:
        detail = str(error).removeprefix(f'{path}: ')
        if isinstance(error, ImageSettingError):
            return LabelScan('setting', detail)
        is_mode = header.mode.split(';')[0] not in _LABEL_MODES
        other = 'mode' if is_mode else _problem_of(detail)
        return LabelScan('jpeg' if header.kind == 'JPEG' else other, detail)
    is_colour = raw.ndim == 3
    if is_colour:
        raw = raw[..., 0].astype(np.int32) << 16 | raw[..., 1].astype(np.int32) << 8 | raw[..., 2]
    values, num_lumped = count_values(raw)
    return LabelScan(
        size=raw.shape[:2],
        form=header.form,
        bits=header.bits,
        is_colour=is_colour,
        values=values,
        num_lumped=num_lumped,
        palette={v: header.palette[v] for v in values if 0 <= v < len(header.palette)},
    )


def unpack_colour(packed: int) -> tuple[int, int, int]:
    """Return (r, g, b) of a key of `LabelScan.values`."""
    return packed >> 16 & 255, packed >> 8 & 255, packed & 255


def count_values(label: np.ndarray, most: int = MOST_VALUES) -> tuple[dict[int, int], int]:
    """Count the pixels of each value, in bounded memory.

    Args:
        label: Whole numbers of any shape.
        most: The largest number of values; the rarest beyond it are counted together.

    Returns:
        Pixels by value, in order of values; and the pixels of values beyond `most`.
    """
    flat = label.reshape(-1)
    counts: Counter[int] = Counter()
    lumped = 0
    for start in range(0, flat.size, _BLOCK):
        block = flat[start : start + _BLOCK]
        if block.dtype == np.uint8:
            pixels = np.bincount(block, minlength=256)
            values = np.flatnonzero(pixels)
            pixels = pixels[values]
        else:
            values, pixels = np.unique(block, return_counts=True)
        counts.update(dict(zip(values.tolist(), pixels.tolist(), strict=True)))
        if len(counts) > most:
            kept = dict(counts.most_common(most))
            lumped += counts.total() - sum(kept.values())
            counts = Counter(kept)
    return dict(sorted(counts.items())), lumped


class _Unreadable(NamedTuple):
    problem: Problem
    detail: str


def _read(path: str) -> bytes | _Unreadable:
    """Return a file's content, or why it cannot be read completely."""
    try:
        check_regular(path)
        data = Path(path).read_bytes()
    except FileNotFoundError:
        return _Unreadable('missing', 'there is no such file')
    except (ValueError, MemoryError) as error:
        reason = str(error) or 'it is larger than memory'
        return _Unreadable('unreadable', reason.removeprefix(f'{path}: '))
    except OSError as error:
        return _Unreadable('unreadable', f'it cannot be read ({error.strerror})')
    if not data:
        return _Unreadable('empty', 'it has 0 bytes')
    if not is_whole(data):
        return _Unreadable('truncated', f'{len(data)} bytes without the end of the picture')
    return data


def _problem_of(message: str) -> Problem:
    """Return the problem that a message of Pillow's, which has no classes of errors, is about."""
    return 'truncated' if 'truncated' in message.lower() else 'unreadable'


def find_damage(data: bytes, kind: str) -> str | None:
    """Return what is wrong inside a file, None if nothing shows.

    Decoders ignore wrong checksums of PNG files, and fill what a cut BMP or TIFF lacks.

    Args:
        data: The content.
        kind: Pillow's name of the format.
    """
    if kind not in _CHECKED_BY_PILLOW:  # whether a JPEG is complete, its end has shown
        return None
    try:
        with opened_by_pillow(io.BytesIO(data)) as img:
            if kind == 'PNG':
                img.verify()
            else:
                img.load()
    except UnidentifiedImageError:
        return None  # OpenCV may read it nevertheless
    except PILLOW_ERRORS as error:
        return str(error) or type(error).__name__
    return None
