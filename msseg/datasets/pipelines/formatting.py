"""Transforms that make arrays for the network. Arrays stay numpy: workers use no Tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from msseg.datasets.pipelines.transform import register_transform
from msseg.utils.arguments import NonEmpty, NonNegativeInt


@register_transform
class DefaultFormatBundle:
    """Bring image and label into the network's form.

    Reads: img, gt_semantic_seg, each if present. Writes: img (float32, (c, h, w), contiguous),
    gt_semantic_seg (int32, (1, h, w)).

    Source: MMSegmentation 0.30 ``DefaultFormatBundle``, with numpy arrays in place of
        DataContainers.
    """

    def __call__(self, results: dict) -> dict:
        if 'img' in results:
            results['img'] = np.ascontiguousarray(_channels_first(results['img']), np.float32)
        if 'gt_semantic_seg' in results:
            results['gt_semantic_seg'] = results['gt_semantic_seg'][None].astype(np.int32)
        return results


@register_transform
class Collect:
    """Keep what the network and its metrics need, and drop the rest.

    Reads: `keys` and `meta_keys`. Writes: a new dict of `keys` and ``img_metas``.

    Args:
        keys: What to keep.
        meta_keys: What to gather in the dict ``img_metas``.

    Raises:
        KeyError: A key is missing.

    Source: MMSegmentation 0.30 ``Collect``.

    Examples:
        >>> Collect(keys=['img'], meta_keys=['flip'])({'img': 'an array', 'flip': True, 'x': 0})
        {'img': 'an array', 'img_metas': {'flip': True}}
    """

    keys: NonEmpty[str]
    meta_keys: Sequence[str] = (
        'filename', 'ori_filename', 'ori_shape', 'img_shape', 'pad_shape', 'scale_factor', 'flip',
        'flip_direction', 'img_norm_cfg',
    )  # fmt: skip

    def __call__(self, results: dict) -> dict:
        for name in (*self.meta_keys, *self.keys):
            if name not in results:
                raise KeyError(
                    f'Collect: there is no {name!r} in the sample, which has {sorted(results)}; '
                    'leave it out of keys or meta_keys, or add the transform that writes it '
                    "('flip' comes from RandomFlip, 'img_norm_cfg' from Normalize)"
                )
        data = {key: results[key] for key in self.keys}
        data['img_metas'] = {key: results[key] for key in self.meta_keys}
        return data


@register_transform
class ImageToTensor:
    """Turn images to (c, h, w), contiguous.

    Reads and writes: `keys`.

    Args:
        keys: Which; a single (h, w) gives (1, h, w).

    Source: MMSegmentation 0.30 ``ImageToTensor``.
    """

    keys: NonEmpty[str]

    def __call__(self, results: dict) -> dict:
        for key in self.keys:
            results[key] = np.ascontiguousarray(_channels_first(results[key]))
        return results


@register_transform
class ToTensor:
    """Turn values into arrays.

    Reads and writes: `keys`. An integer gives an int64 array of one, a float a float32 array of
    one, a sequence an array of its own type.

    Args:
        keys: Which.

    Source: MMSegmentation 0.30 ``ToTensor``, with numpy arrays in place of tensors.
    """

    keys: NonEmpty[str]

    def __call__(self, results: dict) -> dict:
        for key in self.keys:
            results[key] = _to_array(results[key], key)
        return results


@register_transform
class Transpose:
    """Reorder the axes of arrays.

    Reads and writes: `keys`.

    Args:
        keys: Which.
        order: The old axes in their new order.

    Source: MMSegmentation 0.30 ``Transpose``.
    """

    keys: NonEmpty[str]
    order: NonEmpty[NonNegativeInt]

    def __call__(self, results: dict) -> dict:
        for key in self.keys:
            results[key] = results[key].transpose(self.order)
        return results


def _channels_first(img: np.ndarray) -> np.ndarray:
    return img[None] if img.ndim < 3 else img.transpose(2, 0, 1)


def _to_array(value: Any, key: str) -> np.ndarray:
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, (int, float)):
        return np.array([value], np.int64 if isinstance(value, int) else np.float32)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return np.array(value)
    raise TypeError(
        f'ToTensor: {key!r} is {value!r} of {type(value)}; expected an array, a number or a '
        'sequence of numbers'
    )
