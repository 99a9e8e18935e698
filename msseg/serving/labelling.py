"""Labels of uploaded images, with areas and the most probable classes of each pixel."""

from __future__ import annotations

import base64
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from msseg.datasets.palette import background_classes
from msseg.deploy.logits import labels_of, probabilities_of
from msseg.deploy.predictor import Predictor
from msseg.utils.display import Display, as_bgr, blend_labels, count_pixels
from msseg.utils.errors import UserValueError
from msseg.utils.image_loading import ImageLoading, LoadedImage, no_data_label
from msseg.utils.image_values import find_unused

# Rows of an image, their labels (n, w), and probabilities (classes, n, w) if there are some.
Rows = Iterator[tuple[slice, np.ndarray, np.ndarray | None]]

_RANKED = 5  # classes of a pixel that the page shows
_BLOCK_PIXELS = 1 << 18  # that are sorted at a time
_PREVIEW_QUALITY = 90
_FAST = 1  # zlib's level: a level of 6 took four times as long for a tenth less


class Backend(Protocol):
    """What labels images.

    Attributes:
        name: The model's name.
        classes: Names of the classes.
        palette: RGB colours of the classes.
        loading: How image files are loaded.
        display: How loaded images are shown.
    """

    name: str
    classes: Sequence[str]
    palette: Sequence[Sequence[int]]
    loading: ImageLoading
    display: Display

    def load(self, data: bytes) -> LoadedImage:
        """Load the content of a file."""

    def rows(self, data: bytes) -> Rows:
        """Yield the labels of an image from the top down."""


class ExportedBackend:
    """Label with an exported file; see `Backend`, and `Predictor` for the arguments."""

    def __init__(self, path: str | Path, device: str = 'auto', runtime: str = 'auto') -> None:
        self._predictor = predictor = Predictor(path, device, runtime)
        self.name = predictor.path.name
        self.classes, self.palette = predictor.classes, predictor.palette
        self.loading, self.display = predictor.metadata.preprocessing.loading, Display()
        self.load = predictor.load

    def rows(self, data: bytes) -> Rows:
        """Yield the labels, and the probabilities unless the file gives labels only."""
        metadata = self._predictor.metadata
        if metadata.output.meaning != 'logits':
            labels = self._predictor(data)
            yield slice(0, len(labels)), labels, None
            return
        logits = self._predictor.logits(data)
        height, width = logits.shape[1:]
        step = max(_BLOCK_PIXELS // width, 1)
        for top in range(0, height, step):
            rows = slice(top, min(top + step, height))
            block = logits[:, rows]
            yield rows, labels_of(block, metadata.threshold), probabilities_of(block)


class NotAnImageError(UserValueError):
    """A content of no known image format."""


class TooManyPixelsError(UserValueError):
    """An image of more pixels than the server takes."""


def label_image(backend: Backend, data: bytes, most_pixels: int) -> Labelled:
    """Label an image.

    Args:
        backend: The model.
        data: The content of an image file.
        most_pixels: The limit; nothing of a larger image is decoded.

    Raises:
        NotAnImageError, TooManyPixelsError: See these.
        ValueError: The image is damaged, or the network does not take it.
    """
    start = time.perf_counter()
    header = backend.loading.header(data, 'the image')
    if header is None:
        raise NotAnImageError(
            f'this is no image of a known format (its first bytes are {data[:8]!r})'
            if data
            else 'no image was sent',
            advice='send the content of a PNG or JPEG file',
        )
    height, width = header.size
    if height * width > most_pixels:
        raise TooManyPixelsError(
            f'the image is of {height}x{width} pixels, {height * width} in all, more than the '
            f'limit of {most_pixels}',
            advice='shrink it, or start msseg serve with a larger --max-pixels',
        )
    loaded = backend.load(data)
    labels, ranking = _collect(backend.rows(data), len(backend.classes))
    if loaded.no_data is not None:
        labels[loaded.no_data] = no_data_label(len(backend.classes))
        if ranking is not None:
            ranking[1][:, loaded.no_data] = 0
    unused = find_unused(header, backend.loading.color_type, backend.loading.is_scaled)
    notes = [f'the image {each}' for each in unused]
    seconds = time.perf_counter() - start
    return Labelled(backend, loaded.img, labels, ranking, notes, seconds)


def _collect(
    rows: Rows, num_classes: int
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray] | None]:
    """Join the labels of all rows, and the ranking of their probabilities, see `Labelled`."""
    parts = [(labels.copy(), _rank(values)) for _, labels, values in rows]
    narrow = np.min_scalar_type(no_data_label(num_classes))
    labels = np.concatenate([found for found, _ in parts]).astype(narrow)
    rankings = [ranking for _, ranking in parts if ranking is not None]
    if not rankings:
        return labels, None
    classes, values = (np.concatenate(each, axis=1) for each in zip(*rankings, strict=True))
    return labels, (classes.astype(narrow), values)


def _rank(probabilities: np.ndarray | None) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the most probable classes (k, n, w), the first first, and their uint8 values."""
    if probabilities is None:
        return None
    if len(probabilities) == 1:  # of class 1
        probabilities = np.concatenate([1 - probabilities, probabilities])
    k = min(_RANKED, len(probabilities))
    step = max(_BLOCK_PIXELS // probabilities.shape[2], 1)
    classes, values = [], []
    for top in range(0, probabilities.shape[1], step):
        block = probabilities[:, top : top + step]
        best = np.argpartition(-block, k - 1, axis=0)[:k] if k < len(block) else None
        chosen = block if best is None else np.take_along_axis(block, best, axis=0)
        order = np.argsort(-chosen, axis=0, kind='stable')
        classes.append(order if best is None else np.take_along_axis(best, order, axis=0))
        sorted_values = np.take_along_axis(chosen, order, axis=0)
        values.append(np.rint(255 * sorted_values).clip(0, 255).astype(np.uint8))
    return np.concatenate(classes, axis=1).astype(np.uint16), np.concatenate(values, axis=1)


@dataclass
class Labelled:
    """An image with its labels.

    Attributes:
        backend: What labelled it.
        image: As it was loaded.
        labels: uint8 or uint16 (h, w).
        ranking: For each pixel the most probable classes (k, h, w), and their probabilities, uint8
            (k, h, w), 255 is 1; None where the model gives labels only.
        notes: What of the file was not used.
        seconds: How long labelling took.
    """

    backend: Backend
    image: np.ndarray
    labels: np.ndarray
    ranking: tuple[np.ndarray, np.ndarray] | None
    notes: list[str]
    seconds: float

    @cached_property
    def picture(self) -> np.ndarray:
        """The image to look at, BGR uint8 (h, w, 3)."""
        return as_bgr(self.image, display=self.backend.display)

    def labels_png(self) -> bytes:
        """Return the labels as a grey PNG, of 16 bits for more than 255 classes."""
        return _encoded('.png', self.labels)

    def overlay_png(self, opacity: float) -> bytes:
        """Return the image under its labels, without colour where there is background."""
        bare = background_classes(self.backend.classes)
        palette = self.backend.palette
        return _encoded('.png', blend_labels(self.picture, self.labels, palette, opacity, bare))

    def summary(self) -> dict[str, Any]:
        """Return size, time and the area of each class."""
        height, width = self.labels.shape
        counts = count_pixels(self.labels, len(self.backend.classes)).tolist()
        return {
            'model': self.backend.name,
            'width': width,
            'height': height,
            'seconds': round(self.seconds, 4),
            'notes': self.notes,
            'classes': [
                {**each, 'pixels': pixels, 'share': pixels / (height * width)}
                for each, pixels in zip(describe_classes(self.backend), counts, strict=True)
            ],
        }

    def arrays(self) -> dict[str, Any]:
        """Return what the page draws: the image, the labels, the ranking, each in base64."""
        found = {
            'image_jpeg': _base64(_encoded('.jpg', self.picture)),
            'labels_png': _base64(self.labels_png()),
            'labels': _packed(self.labels),
            'ranking': None,
        }
        if self.ranking is not None:
            classes, values = self.ranking
            found['ranking'] = {'count': len(classes), 'classes': _packed(classes),
                                'probabilities': _packed(values)}  # fmt: skip
        return found


def describe_classes(backend: Backend) -> list[dict[str, Any]]:
    """Return index, name and colour of each class; the colour is None where there is no tint."""
    bare = background_classes(backend.classes)
    return [
        {
            'index': index,
            'name': name,
            'colour': None if index in bare else [int(value) for value in colour],
        }
        for index, (name, colour) in enumerate(zip(backend.classes, backend.palette, strict=False))
    ]


def _encoded(suffix: str, image: np.ndarray) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, _PREVIEW_QUALITY] if suffix == '.jpg' else []
    return cv2.imencode(suffix, image, options)[1].tobytes()


def _packed(array: np.ndarray) -> dict[str, str]:
    """Return an array's bytes, row by row, compressed."""
    content = array.astype(array.dtype.newbyteorder('<')).tobytes()
    return {'dtype': array.dtype.name, 'zlib': _base64(zlib.compress(content, _FAST))}


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode('ascii')


def is_exported(path: str | Path) -> bool:
    """Whether a path is named as an exported file."""
    return Path(path).suffix.lower() in ('.onnx', '.mindir', '.ms')
