"""Resize and RandomCrop as one step that computes only what the crop keeps.

`Compose` puts it where a Resize stands right before a RandomCrop. The result is the same, bit
by bit, and so are the random numbers drawn: the crop's place depends on the resized size and on
the label alone, so both are known before a pixel of the image is computed.

Labels take the nearest pixel, by index. Of images, OpenCV resizes what lies up to the crop's far
corner: it can start at the first pixel only, where its positions are whole. When that is much
more than the crop, the crop alone is computed, in the fixed point arithmetic of OpenCV's
bilinear resize.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from msseg.datasets.pipelines.image_ops import resize
from msseg.datasets.pipelines.random_crop import Box, RandomCrop, crop
from msseg.datasets.pipelines.random_source import get_rng
from msseg.datasets.pipelines.resize import Resize

# How often the crop must fit into what OpenCV would resize for computing it alone to be faster.
_WORTH_IT = 8
_MOST_TRIES = 10
_WEIGHT_ONE = np.float32(2048)  # weights have 11 fractional bits
_ROWS_AT_ONCE = 64  # of the result, so that intermediate values stay in the cache


class ResizeCrop:
    """Resize and crop image and label in one step.

    Reads and writes: what `Resize` and `RandomCrop` do.

    Args:
        resize: The first transform.
        random_crop: The second.
    """

    def __init__(self, resize: Resize, random_crop: RandomCrop) -> None:
        self.resize = resize
        self.random_crop = random_crop

    @staticmethod
    def fuses(first: object, second: object) -> bool:
        """Tell whether two transforms can be replaced; a subclass of theirs may do anything."""
        return type(first) is Resize and type(second) is RandomCrop

    def __call__(self, results: dict) -> dict:
        img, labels = results['img'], results.get('seg_fields', [])
        if any(results[key].shape[:2] != img.shape[:2] for key in labels):
            return self.random_crop(self.resize(results))
        size = self.resize.choose_size(results)
        box, cropped_labels = self._choose_box(results, size)
        cropped = resize_crop_image(img, size, box)
        shape = (*size, *img.shape[2:])
        self.resize.write_shapes(results, np.broadcast_to(img.dtype.type(0), shape))
        results.update(img=cropped, img_shape=cropped.shape, **cropped_labels)
        return results

    def _choose_box(self, results: dict, size: tuple[int, int]) -> tuple[Box, dict]:
        """Choose the crop, and return it with the labels there."""
        transform, rng = self.random_crop, get_rng(results)
        box = transform.sample_box(rng, size)
        labels = {}
        if transform.cat_max_ratio < 1:
            label = results['gt_semantic_seg']
            part = nearest_crop(label, size, box)
            for _ in range(_MOST_TRIES):
                if transform.is_varied(part):
                    break
                box = transform.sample_box(rng, size)
                part = nearest_crop(label, size, box)
            labels['gt_semantic_seg'] = part
        keys = results.get('seg_fields', [])
        return box, {
            key: labels[key] if key in labels else nearest_crop(results[key], size, box)
            for key in keys
        }

    def __repr__(self) -> str:
        return f'{self.resize}\n    {self.random_crop}'


def nearest_crop(label: np.ndarray, size: tuple[int, int], box: Box) -> np.ndarray:
    """Return a part of a label resized to the nearest pixel.

    Args:
        label: (h, w).
        size: Size (h, w) of the whole resized label.
        box: The part.

    Returns:
        The same as resizing the whole and cropping.
    """
    y1, y2, x1, x2 = box
    ys = _nearest(label.shape[0], size[0], y1, y2)
    xs = _nearest(label.shape[1], size[1], x1, x2)
    first, last = int(xs[0]), int(xs[-1]) + 1
    rows = label[ys, first:last] if len(ys) <= label.shape[0] else label[:, first:last][ys]
    return np.take(rows, xs - first, axis=1, mode='clip')


def resize_crop_image(img: np.ndarray, size: tuple[int, int], box: Box) -> np.ndarray:
    """Return a part of an image resized bilinearly.

    Args:
        img: (h, w) or (h, w, c).
        size: Size (h, w) of the whole resized image.
        box: The part.

    Returns:
        The same as resizing the whole and cropping.
    """
    y1, y2, x1, x2 = box
    height, width = min(y2, size[0]) - y1, min(x2, size[1]) - x1
    if size == img.shape[:2]:
        return crop(img, box)
    halved = size[0] * 2 == img.shape[0] and size[1] * 2 == img.shape[1]  # OpenCV averages then
    if img.dtype != np.uint8 or halved:
        return crop(resize(img, size), box)
    if (y1 + height) * (x1 + width) <= _WORTH_IT * height * width:
        return crop(_resize_start(img, size, (y1 + height, x1 + width)), box)
    ys = _linear(img.shape[0], size[0], y1, y1 + height, whole_at_edge=False)
    xs = _linear(img.shape[1], size[1], x1, x1 + width, whole_at_edge=True)
    return _bilinear(img, ys, xs).reshape(height, width, *img.shape[2:])


def _resize_start(img: np.ndarray, size: tuple[int, int], needed: tuple[int, int]) -> np.ndarray:
    """Return the first lines, `needed` or some more along each axis, of a resized image."""
    factors = [new / old for new, old in zip(size, img.shape, strict=False)]
    h, w = (
        _source_length(old, factor, stop)
        for old, factor, stop in zip(img.shape, factors, needed, strict=False)
    )
    # the size follows from the factors, which must not be rounded
    return cv2.resize(
        img[:h, :w], None, fx=factors[1], fy=factors[0], interpolation=cv2.INTER_LINEAR
    )


def _source_length(old: int, factor: float, stop: int) -> int:
    """Return how many first pixels of an axis the result's first `stop` ones come from."""
    length = int((stop - 0.5) / factor - 0.5) + 3
    while length < old and round(length * factor) < stop:
        length += 1
    return min(length, old)


class _Taps(NamedTuple):
    """For each line of the result, two lines of the source and their weights."""

    first: np.ndarray
    second: np.ndarray
    weight_first: np.ndarray
    weight_second: np.ndarray


def _nearest(old: int, new: int, start: int, stop: int) -> np.ndarray:
    scale = 1.0 / (new / old)
    positions = np.floor(np.arange(start, min(stop, new)) * scale).astype(np.int64)
    return np.minimum(positions, old - 1)


def _linear(old: int, new: int, start: int, stop: int, whole_at_edge: bool) -> _Taps:
    """Return the taps of a part of an axis.

    At the edges both taps are the outermost line. OpenCV gives the first of them all the weight
    along rows (`whole_at_edge`), but not along columns, where each is rounded by itself.
    """
    scale = 1.0 / (new / old)
    positions = ((np.arange(start, stop) + 0.5) * scale - 0.5).astype(np.float32)
    first = np.floor(positions)
    weight = positions - first
    if whole_at_edge:
        weight[(first < 0) | (first >= old - 1)] = 0
    first = first.astype(np.int64)
    return _Taps(
        np.clip(first, 0, old - 1),
        np.clip(first + 1, 0, old - 1),
        np.rint((np.float32(1) - weight) * _WEIGHT_ONE).astype(np.int32),
        np.rint(weight * _WEIGHT_ONE).astype(np.int32),
    )


def _bilinear(img: np.ndarray, ys: _Taps, xs: _Taps) -> np.ndarray:
    """Interpolate along rows, then along columns, rounding where OpenCV rounds."""
    channels = 1 if img.ndim == 2 else img.shape[2]
    top, left = int(ys.first[0]), int(xs.first[0])
    source = img[top : int(ys.second[-1]) + 1, left : int(xs.second[-1]) + 1]
    source = np.ascontiguousarray(source).reshape(*source.shape[:2], channels)
    weights = [np.repeat(w, channels) for w in (xs.weight_first, xs.weight_second)]
    lines = len(source), len(xs.first) * channels
    sides = [np.take(source, s - left, axis=1, mode='clip').reshape(lines) for s in xs[:2]]
    rows = np.empty(lines, np.int32)
    scratch = np.empty((2, _ROWS_AT_ONCE, lines[1]), np.int32)
    for part in _parts(len(rows)):
        out, other = rows[part], scratch[0, : part.stop - part.start]
        np.multiply(sides[0][part], weights[0], out=out)
        np.multiply(sides[1][part], weights[1], out=other)
        np.add(out, other, out=out)
        np.right_shift(out, 4, out=out)
    result = np.empty((len(ys.first), lines[1]), np.uint8)
    for part in _parts(len(result)):
        above, below = scratch[:, : part.stop - part.start]
        np.take(rows, ys.first[part] - top, axis=0, out=above, mode='clip')
        np.take(rows, ys.second[part] - top, axis=0, out=below, mode='clip')
        for line, weight in ((above, ys.weight_first), (below, ys.weight_second)):
            np.multiply(line, weight[part, None], out=line)
            np.right_shift(line, 16, out=line)
        np.add(above, below, out=above)
        np.add(above, 2, out=above)
        np.right_shift(above, 2, out=above)
        result[part] = above
    return result


def _parts(length: int) -> list[slice]:
    starts = range(0, length, _ROWS_AT_ONCE)
    return [slice(start, min(start + _ROWS_AT_ONCE, length)) for start in starts]
