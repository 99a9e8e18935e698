"""From an image to the input of an exported network."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from msseg.deploy.metadata import Metadata
from msseg.utils.errors import UserTypeError, UserValueError
from msseg.utils.image_bytes import check_whole, read_bytes
from msseg.utils.image_file import warn_of_unused
from msseg.utils.image_loading import LoadedImage
from msseg.utils.image_size import rescaled_size, scaled_wh
from msseg.utils.normalization import Normalization

Image = str | Path | bytes | np.ndarray

_CONTENT = 'the image'  # the name of one that has no path


class ImageInput:
    """Load and prepare images as the metadata of an exported file describe it.

    Args:
        metadata: The file's.
        who: The file, for errors.
    """

    def __init__(self, metadata: Metadata, who: str) -> None:
        self.metadata = metadata
        self.who = who
        steps = self._steps = metadata.preprocessing
        self._loading = steps.loading
        self._normalization = Normalization(steps.mean, steps.std, steps.to_rgb, who)

    def load(self, image: Image) -> np.ndarray:
        """Return the image of `load_with_mask`."""
        return self.load_with_mask(image).img

    def load_with_mask(self, image: Image) -> LoadedImage:
        """Return an image as described: by default as uint8 (h, w, 3) in BGR order.

        Args:
            image: A file, the content of one, or an array as ``cv2.imread`` gives it; for other
                channels (h, w, c), or (h, w) for one; where values are scaled, of any type.

        Raises:
            FileNotFoundError: The file does not exist.
            TypeError: The image is neither a file nor such an array.
            ValueError: The file cannot be read.
        """
        color_type, channels = self._steps.color_type, len(self._steps.mean)
        if isinstance(image, (str, Path)):
            return self._load(read_bytes(image), image)
        if isinstance(image, bytes):
            check_whole(image, _CONTENT)
            return self._load(image, _CONTENT)
        is_image = isinstance(image, np.ndarray) and image.ndim in (2, 3) and 0 not in image.shape
        any_type = self._loading.is_scaled or color_type == 'unchanged'
        if is_image and _channels(image) == channels and (any_type or image.dtype == np.uint8):
            return self._loading.load_array(image, 'an array')
        got = f'{image.dtype} of shape {image.shape}' if isinstance(image, np.ndarray) else image
        colours = ' in BGR order' if channels == 3 else ''
        raise UserTypeError(
            f'an image is {got} ({type(image).__name__})',
            expected=f'the path of a file, its content, or a uint8 array (h, w, {channels})'
            f'{colours}, as cv2.imread gives it',
        )

    def _load(self, data: bytes, path: str | Path) -> LoadedImage:
        color_type, channels = self._steps.color_type, len(self._steps.mean)
        header = self._loading.header(data, path)
        loaded = self._loading.load(data, path, header)
        if header is not None:
            is_scaled = self._loading.is_scaled
            warn_of_unused(header, path, color_type, is_scaled, self.who, data)
        if _channels(loaded.img) != channels:
            shape = loaded.img.shape
            problem = f'is loaded as {shape}, but {self.who} takes {channels} channels'
            raise UserValueError(problem, file=str(path))
        return loaded

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """Return the network's input for a loaded image, without the batch axis.

        Raises:
            ValueError: The network does not take images of this size.
        """
        image = self.resize(image)
        wanted, size = self.metadata.input.size, image.shape[:2]
        if any(limit not in (None, got) for limit, got in zip(wanted, size, strict=True)):
            names = f'{wanted[0]}x{wanted[1]} (height x width), got {size[0]}x{size[1]}'
            advice = 'resize the image, or export with --dynamic for any size'
            raise UserValueError(f'takes images of {names}', who=self.who, advice=advice)
        if not self._steps.included:
            return self._normalization(image)
        if image.dtype != np.uint8:
            advice = 'export without --include-preprocessing for images of more bits'
            raise UserValueError(f'takes bytes, got {image.dtype}', who=self.who, advice=advice)
        return np.ascontiguousarray(image.reshape(*size, -1))

    def resize(self, image: np.ndarray) -> np.ndarray:
        """Return a loaded image at the size that the network takes."""
        h, w = image.shape[:2]
        # as MultiScaleFlipAug chooses the scale and Resize fits the image into it
        scale = self._steps.scale or scaled_wh((w, h), self._steps.ratio)
        size = rescaled_size((h, w), scale) if self._steps.keep_ratio else (scale[1], scale[0])
        if size == (h, w):
            return image
        return cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)


def _channels(image: np.ndarray) -> int:
    return 1 if image.ndim == 2 else image.shape[2]
