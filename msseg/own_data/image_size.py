"""Sizes of images as they are loaded: turned upright by EXIF's orientation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from msseg.utils.errors import UserValueError
from msseg.utils.image_file import check_pixels
from msseg.utils.image_header import ArrayChoiceError, ImageHeader, read_header
from msseg.utils.image_values import turn_upright

_FIRST_QUARTER_TURN = 5  # of EXIF's orientations


def image_header(path: Path) -> ImageHeader:
    """Return an image's header; ValueError for what is no image, or too large."""
    try:
        header = read_header(path)
    except ArrayChoiceError as error:
        raise UserValueError(str(error), file=str(path), advice='save one as .npy') from None
    if header is None:
        raise UserValueError('no image that can be read', file=str(path), advice='copy it again')
    check_pixels(header.size, path)
    return header


def upright_size(path: Path) -> tuple[int, int]:
    """Return (h, w) of an image as it is loaded."""
    header = image_header(path)
    is_turned = header.orientation >= _FIRST_QUARTER_TURN
    return header.size[::-1] if is_turned else header.size


def turn_if_stored(label: np.ndarray, path: Path, who: str) -> tuple[np.ndarray, bool]:
    """Return a label of the size that its image has upright, and whether it was turned for that.

    Args:
        label: (h, w), upright or as the image is stored.
        path: The image.
        who: The label, for errors.

    Raises:
        ValueError: It has neither size.
    """
    header, size = image_header(path), upright_size(path)
    if label.shape == size:
        return label, False
    if label.shape == header.size:
        return turn_upright(label, header.orientation), True
    raise UserValueError(
        f'{who}: the labels are of {label.shape[0]}x{label.shape[1]} pixels',
        expected=f'{size[0]}x{size[1]}, as {path}',
    )
