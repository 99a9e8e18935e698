"""Preparation of images from files or arrays, by a test pipeline."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL.Image import Image
from PIL.ImageOps import exif_transpose

from msseg.datasets.eval_loader import collected_views
from msseg.datasets.pipelines import Compose, LoadImageFromFile
from msseg.datasets.pipelines.loading import describe_image
from msseg.datasets.sample_rng import seeded_sample
from msseg.utils.image_loading import LoadedImage

_DEEP_MODES = ('I', 'F')  # of Pillow, with more than 8 bits
_PNG_MODES = ('1', 'L', 'LA', 'P', 'RGB', 'RGBA')

Prepared = tuple[list[np.ndarray], list[dict]]


class Preparation:
    """Prepare single images with a test pipeline.

    Args:
        steps: The pipeline's transforms, at least one; see `msseg.apis.build.eval_pipeline`.

    Source: MMSegmentation 0.30 ``mmseg.apis.inference.LoadImage`` and the pipeline after it.
    """

    def __init__(self, steps: Sequence[dict]) -> None:
        first = Compose(steps[:1])
        self.loader: Callable[[dict], dict] = first.transforms[0]
        self._where = first.where or 'the test pipeline'
        self._rest = Compose(steps[1:])

    def load(self, path: str | Path) -> dict:
        """Load a file by the pipeline's first step; ``no_data`` is where it has no data, if any.

        Raises:
            FileNotFoundError: The file does not exist.
            ValueError: It is no image, or damaged.
        """
        return self.loader(_sample(dict(filename=str(path))))

    def scale(self, image: np.ndarray, name: str = '') -> np.ndarray:
        """Scale an array's values as the first step scales those of a file.

        Raises:
            ValueError: It has more than 8 bits, and the first step has no scale for them.
        """
        return self._load_array(image, name).img

    def _load_array(self, image: np.ndarray, name: str) -> LoadedImage:
        loader = self.reads_files
        if loader is None:
            return LoadedImage(image, None)
        is_deep = image.dtype.kind != 'f' and image.dtype != np.uint8
        if is_deep and not loader.loading.is_scaled and loader.color_type != 'unchanged':
            raise _too_deep(f'{name or "an array"} is {image.dtype}')
        return loader.loading.load_array(image, name or 'an array')

    def __call__(
        self, image: str | Path | np.ndarray | Image, name: str = '', is_loaded: bool = False
    ) -> Prepared:
        """Prepare an image.

        Args:
            image: A file, a Pillow image, or an array as cv2 gives it: (h, w, 3) in BGR order, or
                (h, w).
            name: Name of an array in errors.
            is_loaded: Whether an array comes from the first step, which has scaled its values.

        Returns:
            For each scale and flip the network's input, float32 (c, h, w), and its meta.

        Raises:
            FileNotFoundError: The file does not exist.
            TypeError: It is none of these.
            ValueError: It cannot be read, or the pipeline gives no image.
        """
        with seeded_sample(0, 0, 0) as rng:
            results = self.start(image, name, is_loaded)
            results['rng'] = rng
            data = self._rest(results)
        return collected_views(data, self._where, name or None, name or None)

    def start(
        self, image: str | Path | np.ndarray | Image, name: str = '', is_loaded: bool = False
    ) -> dict:
        """Load an image by the pipeline's first step; see `__call__`."""
        if isinstance(image, (str, Path)):
            return self.load(image)
        no_data = None
        if isinstance(image, Image):
            (image, no_data), is_loaded = self._decode(image), True
        if not isinstance(image, np.ndarray) or image.ndim not in (2, 3) or 0 in image.shape:
            got = f'of shape {image.shape}' if isinstance(image, np.ndarray) else repr(image)
            raise TypeError(
                f'an image is {got} ({type(image).__name__}), expected the path of a file, an '
                'array (h, w, 3) in BGR order or (h, w) as cv2.imread gives them, or a Pillow image'
            )
        if not is_loaded:
            image, no_data = self._load_array(image, name)
        is_float = getattr(self.loader, 'to_float32', False)
        image = image.astype(np.float32) if is_float else image
        name = name or None
        more = {} if no_data is None else {'no_data': no_data}
        return _sample(dict(filename=name)) | describe_image(image, name, name) | more

    def _decode(self, image: Image) -> LoadedImage:
        """Return a Pillow image as the first step loads it from a file."""
        loader = self.reads_files or LoadImageFromFile()
        is_unchanged = loader.color_type == 'unchanged'
        if image.mode.startswith(_DEEP_MODES) and not loader.loading.is_scaled and not is_unchanged:
            raise _too_deep(f'a Pillow image has mode {image.mode!r}')
        if not is_unchanged and not loader.color_type.endswith('ignore_orientation'):
            image = exif_transpose(image)
        if image.mode not in _PNG_MODES and not image.mode.startswith(_DEEP_MODES):
            image = image.convert('RGB')
        content = io.BytesIO()
        if image.mode in ('I', 'F'):
            image.save(content, 'TIFF')
        else:
            image.save(content, 'PNG', compress_level=0)
        return loader.loading.load(content.getvalue(), 'a Pillow image')

    @property
    def reads_files(self) -> LoadImageFromFile | None:
        """The first step, when it reads files as msseg's own does; None for a user's."""
        return self.loader if type(self.loader) is LoadImageFromFile else None


def _too_deep(problem: str) -> ValueError:
    return ValueError(
        f'{problem}, which holds more than 8 bits: give LoadImageFromFile of the test pipeline '
        'max_value, the value to show as white, or percentiles=(1, 99)'
    )


def _sample(img_info: dict) -> dict:
    return dict(img_info=img_info, img_prefix=None, seg_fields=[])
