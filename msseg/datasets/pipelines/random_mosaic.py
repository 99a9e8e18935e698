"""Mosaics of four images."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from msseg.datasets.pipelines.image_ops import fillable, resize
from msseg.datasets.pipelines.transform import get_rng, register_transform
from msseg.datasets.sample_rng import current_rng
from msseg.utils.arguments import Int32, Ordered, Probability, Range, Size
from msseg.utils.errors import UserValueError

Ratio = Annotated[float, Range(0, 2)]
_NUM_OTHERS = 3


@register_transform
class RandomMosaic:
    """Put four images together around a random centre; for `MultiImageMixDataset`.

    Each image is resized, its ratio kept, to fit `img_scale`, and lies with a corner at the centre:
    the sample itself at the top left, the others at the top right, bottom left and bottom right.
    What lies outside is cut off; what stays free is padded.

    Reads: img, mix_results, seg_fields and the labels they name, num_classes, ignore_index, rng.
    Writes: img, the labels, img_shape, ori_shape.

    Args:
        prob: Probability.
        img_scale: Size (h, w) of one image; the mosaic is twice as high and wide.
        center_ratio_range: Smallest and largest position of the centre, in units of `img_scale`.
        pad_val: Value for the image.
        seg_pad_val: Value for the label, a class or ignore_index.

    Source: MMSegmentation 0.30 ``RandomMosaic``; it may index behind the last image, this does not.

    Examples:
        >>> sample = {'img': np.ones((4, 6, 3), np.uint8), 'seg_fields': []}
        >>> mosaic = RandomMosaic(prob=1.0, img_scale=(4, 6))
        >>> mosaic({**sample, 'mix_results': [sample] * 3})['img'].shape
        (8, 12, 3)
    """

    prob: Probability
    img_scale: Size = (640, 640)
    center_ratio_range: Annotated[tuple[Ratio, Ratio], Ordered()] = (0.5, 1.5)
    pad_val: Annotated[int, Range(0, 255)] = 0
    seg_pad_val: Int32 = 255

    def get_indexes(self, dataset: Any) -> list[int]:
        """Draw the indices of the other images."""
        rng = get_rng({'rng': current_rng()})
        return [int(rng.integers(0, len(dataset))) for _ in range(_NUM_OTHERS)]

    def __call__(self, results: dict) -> dict:
        others = results.get('mix_results')
        if others is None or len(others) != _NUM_OTHERS:
            raise UserValueError(
                'it has no other images to put together',
                advice='use it in the pipeline of a MultiImageMixDataset',
                who='RandomMosaic',
            )
        rng = get_rng(results)
        if not rng.random() < self.prob:
            return results
        height, width = self.img_scale
        x = int(rng.uniform(*self.center_ratio_range) * width)
        y = int(rng.uniform(*self.center_ratio_range) * height)
        samples = [results, *others]
        channels = [sample['img'].shape[2:] for sample in samples]
        if len(set(channels)) > 1:
            raise UserValueError(
                f'the images have different channels: {[*map(list, channels)]}',
                advice='let LoadImageFromFile give all images the same color_type',
                who='RandomMosaic',
            )
        images = [sample['img'] for sample in samples]
        img = self._join(images, (y, x), self.pad_val, 'bilinear')
        for key in results.get('seg_fields', []):
            labels = [sample[key] for sample in samples]
            labels[0] = fillable(labels[0], self.seg_pad_val, results, 'RandomMosaic: seg_pad_val')
            results[key] = self._join(labels, (y, x), self.seg_pad_val, 'nearest')
        results['img'] = img
        results['img_shape'] = results['ori_shape'] = img.shape
        return results

    def _join(
        self, arrays: list[np.ndarray], centre: tuple[int, int], value: int, interpolation: str
    ) -> np.ndarray:
        """Join four arrays around a centre (y, x)."""
        limits = [2 * length for length in self.img_scale]
        dtype = np.result_type(*arrays)
        mosaic = np.full((*limits, *arrays[0].shape[2:]), value, dtype)
        for i, array in enumerate(arrays):
            ratio = min(new / old for new, old in zip(self.img_scale, array.shape, strict=False))
            size = tuple(max(int(length * ratio), 1) for length in array.shape[:2])
            resized = resize(array, size, interpolation).reshape(*size, *array.shape[2:])
            rows = _overlap(size[0], centre[0], limits[0], i < 2)
            columns = _overlap(size[1], centre[1], limits[1], i % 2 == 0)
            mosaic[rows[0], columns[0]] = resized[rows[1], columns[1]]
        return mosaic


def _overlap(length: int, centre: int, limit: int, is_before: bool) -> tuple[slice, slice]:
    """Return where an image lies along one axis of the mosaic, and the part of it that does."""
    if is_before:
        start = max(centre - length, 0)
        return slice(start, centre), slice(length - (centre - start), length)
    end = min(centre + length, limit)
    return slice(centre, end), slice(0, end - centre)
