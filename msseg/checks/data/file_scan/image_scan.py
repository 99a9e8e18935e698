"""What there is to know of one image file."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

import cv2
import numpy as np

from msseg.checks.data.file_scan.damage import find_damage
from msseg.checks.data.file_scan.file_content import Problem, problem_of, read_content
from msseg.utils.image_file import check_settings, decode_image
from msseg.utils.image_header import ImageHeader, read_header
from msseg.utils.image_values import (
    ImageSettingError,
    Unused,
    ValueScale,
    find_unused,
    largest_value,
)

# Larger files are not read whole where the header alone is asked for.
LARGE_BYTES = 1 << 26
_DIGEST_BYTES = 16
_FIRST_QUARTER_TURN = 5  # of EXIF's orientations
_GREY_MODES = ('1', 'L', 'LA', 'I', 'F')


@dataclass(frozen=True, slots=True)
class ImageScan:
    """One image, as training loads it.

    Attributes:
        problem: Why it cannot be loaded; None when it can, and only then the rest is set.
        detail: More on the problem.
        size: (h, w) as loaded.
        stored_size: (h, w) in the file, which an EXIF orientation turns.
        form: Kind of file, mode and bits.
        orientation: EXIF's number, 1 for upright.
        is_grey: The file has one channel, or all its channels are equal.
        digest: Of the loaded pixels; of the file's content when no pixels were decoded.
        mean: Of each loaded channel (colours in BGR order); empty when no pixels were decoded.
        variance: Likewise.
        unused: What the file holds and is not taken.
        largest: Of a file whose bits are cut, up to where its values go.
    """

    problem: Problem | None = None
    detail: str = ''
    size: tuple[int, int] = (0, 0)
    stored_size: tuple[int, int] = (0, 0)
    form: str = ''
    orientation: int = 1
    is_grey: bool = False
    digest: bytes = b''
    mean: tuple[float, ...] = ()
    variance: tuple[float, ...] = ()
    unused: tuple[Unused, ...] = ()
    largest: str = ''


def scan_image(
    path: str,
    color_type: str = 'color',
    backend: str = 'cv2',
    scale: ValueScale | None = None,
    decode: bool = True,
) -> ImageScan | None:
    """Look at an image.

    Args:
        path: The file.
        color_type: As `LoadImageFromFile` has it.
        backend: Likewise.
        scale: What its ``max_value`` or ``percentiles`` stand for.
        decode: Decode the pixels; False reads the header only, where the format is known.

    Returns:
        What was found; None for a large file of unknown format that is not to be decoded.
    """
    if not decode and os.path.isfile(path) and os.path.getsize(path) > LARGE_BYTES:
        header = read_header(path)
        return _describe_header(header, b'', color_type, scale is not None) if header else None
    content = read_content(path)
    if content.problem:
        return ImageScan(content.problem, content.detail)
    header = read_header(content.data)
    try:
        if header is not None:
            check_settings(header, color_type, scale is not None, path)
            if not decode:
                return _describe_header(header, content.data, color_type, scale is not None)
            damage = find_damage(content.data, header.kind)
            if damage:
                return ImageScan(problem_of(damage), damage)
        img = decode_image(content.data, path, color_type, backend, scale, header)
    except (ValueError, ImportError) as error:
        is_whole = isinstance(error, (ImageSettingError, ImportError))
        problem = 'setting' if is_whole else 'unreadable'
        return ImageScan(problem, str(error).removeprefix(f'{path}: '))
    unused = tuple(find_unused(header, color_type, scale is not None)) if header else ()
    is_cut = any(each.kind == 'bits' for each in unused)
    mean, deviation = cv2.meanStdDev(img)
    mean, variance = tuple(mean.ravel().tolist()), tuple((deviation.ravel() ** 2).tolist())
    size = img.shape[:2]
    return ImageScan(
        size=size,
        stored_size=header.size if header else size,
        form=header.form if header else 'unknown to Pillow',
        orientation=header.orientation if header else 1,
        is_grey=_is_grey(img, header, mean),
        digest=_digest(img),
        mean=mean,
        variance=variance,
        unused=unused,
        largest=largest_value(decode_image(content.data, path, 'unchanged', backend))
        if is_cut
        else '',
    )


def _describe_header(
    header: ImageHeader, data: bytes, color_type: str, is_scaled: bool
) -> ImageScan:
    turns = header.orientation >= _FIRST_QUARTER_TURN and turns_images(color_type)
    return ImageScan(
        size=header.size[::-1] if turns else header.size,
        stored_size=header.size,
        form=header.form,
        orientation=header.orientation,
        is_grey=header.mode.split(';')[0] in _GREY_MODES,
        digest=hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest() if data else b'',
        unused=tuple(find_unused(header, color_type, is_scaled)),
    )


def turns_images(color_type: str) -> bool:
    """Tell whether images of a `color_type` are turned as EXIF says when they are loaded."""
    return color_type in ('color', 'grayscale')


def _is_grey(img: np.ndarray, header: ImageHeader | None, mean: tuple[float, ...]) -> bool:
    if img.ndim == 2 or (header and header.mode.split(';')[0] in _GREY_MODES):
        return True
    if img.shape[2] < 3 or not mean[0] == mean[1] == mean[2]:
        return False
    return bool((img[..., 0] == img[..., 1]).all() and (img[..., 1] == img[..., 2]).all())


def _digest(img: np.ndarray) -> bytes:
    digest = hashlib.blake2b(repr(img.shape).encode(), digest_size=_DIGEST_BYTES)
    digest.update(np.ascontiguousarray(img).data)
    return digest.digest()
