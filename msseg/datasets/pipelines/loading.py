"""Load images and labels from files."""

from __future__ import annotations

import os.path as osp
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from msseg.datasets.file_client import open_disk
from msseg.datasets.pipelines.label_file import check_label_values, read_label
from msseg.datasets.pipelines.label_map import map_values
from msseg.datasets.pipelines.transform import register_transform
from msseg.utils.arguments import Positive
from msseg.utils.image_bytes import read_bytes
from msseg.utils.image_file import BACKENDS, COLOR_TYPES, decode_image, warn_of_unused
from msseg.utils.image_header import ImageHeader, read_header
from msseg.utils.image_values import Percentiles, ValueScale


def describe_image(img: np.ndarray, filename: str | None, name: str | None) -> dict:
    """Return the keys, MMSegmentation's, of an image that has just been loaded.

    Args:
        img: (h, w, c) or (h, w).
        filename: Path of its file, None for an array.
        name: The same as the data set names it.
    """
    zeros = np.zeros(1 if img.ndim < 3 else img.shape[2], np.float32)
    return dict(
        filename=filename, ori_filename=name, img=img, img_shape=img.shape, ori_shape=img.shape,
        pad_shape=img.shape, scale_factor=1.0,
        img_norm_cfg=dict(mean=zeros, std=zeros + 1, to_rgb=False),
    )  # fmt: skip


@register_transform
class LoadImageFromFile:
    """Read an image.

    Reads: img_prefix, img_info. Writes: filename, ori_filename, img, img_shape, ori_shape,
    pad_shape, scale_factor, img_norm_cfg.

    Args:
        to_float32: Convert to float32; the image is uint8 otherwise.
        color_type: ``color``, ``grayscale``, ``unchanged``, or one of the first two followed by
            ``_ignore_orientation``. Colours are in BGR order.
        file_client_args: Only ``dict(backend='disk')``.
        imdecode_backend: ``cv2`` or ``pillow``.
        max_value: For images of more than 8 bits: the value that becomes 255, such as 4095 for 12
            bits. The image is then float32 from 0 to 255; one of 8 bits keeps its values.
        percentiles: In place of `max_value`: the two percentiles of each image that become 0 and
            255, as ``(1, 99)``.

    Raises:
        FileNotFoundError: The image is missing.
        ValueError: The image is empty, truncated or cannot be decoded.

    Examples:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = tempfile.mkdtemp()
        >>> Image.new('RGB', (8, 6), (255, 0, 0)).save(f'{folder}/red.png')
        >>> results = dict(img_prefix=folder, img_info=dict(filename='red.png'))
        >>> LoadImageFromFile()(results)['img'][0, 0]  # BGR
        array([  0,   0, 255], dtype=uint8)
    """

    to_float32: bool = False
    color_type: Literal[tuple(COLOR_TYPES)] = 'color'
    file_client_args: Mapping | None = None
    imdecode_backend: Literal[BACKENDS] = 'cv2'
    max_value: Positive | None = None
    percentiles: Percentiles | None = None

    def __post_init__(self) -> None:
        self.file_client_args = dict(self.file_client_args or {'backend': 'disk'})
        self.file_client = open_disk('LoadImageFromFile', self.file_client_args)
        is_scaled = self.max_value is not None or self.percentiles is not None
        self.scale = ValueScale(self.max_value, self.percentiles) if is_scaled else None

    def __call__(self, results: dict) -> dict:
        name = results['img_info']['filename']
        prefix = results.get('img_prefix')
        filename = name if prefix is None else osp.join(prefix, name)
        data = read_bytes(filename)
        header = read_header(data)
        img = self.decode(data, filename, header)
        if header is not None:
            self.warn_of_unused(header, filename, prefix, data)
        if self.to_float32:
            img = img.astype(np.float32)
        results.update(describe_image(img, filename, name))
        return results

    def decode(
        self, data: bytes, path: str | Path, header: ImageHeader | None = None
    ) -> np.ndarray:
        """Return the image of a file's content, not converted to float32; see `decode_image`."""
        return decode_image(data, path, self.color_type, self.imdecode_backend, self.scale, header)

    def warn_of_unused(
        self,
        header: ImageHeader,
        path: str | Path,
        prefix: str | None = None,
        data: bytes | None = None,
    ) -> None:
        """Log once for the folder `prefix` what its files hold and loading leaves out."""
        is_scaled = self.scale is not None
        warn_of_unused(header, path, self.color_type, is_scaled, str(prefix), data)


@register_transform
class LoadAnnotations:
    """Read a label as class indices and check it.

    In this order: values or colours are mapped by ``results['label_map']``, label zero is
    dropped if asked for, the classes in use are picked by ``results['class_map']``, and any
    value left that is neither a class nor ignore_index is an error. (MMSegmentation 0.30 picks
    classes before it drops label zero, which mixes them up; without both it is the same.)

    Reads: seg_prefix, ann_info, seg_fields, label_map, class_map, num_classes, ignore_index,
    reduce_zero_label, img and ori_shape and filename (to compare sizes); all but ann_info
    optional. Writes: gt_semantic_seg, seg_fields.

    Args:
        reduce_zero_label: Class i is written as i + 1 and 0 means ignore. Normally the data
            set's argument of this name, which counts here too, because evaluation needs it.
        file_client_args: Only ``dict(backend='disk')``.
        imdecode_backend: ``pillow`` or ``cv2``; indices are read the same either way, palette
            files included.

    Raises:
        FileNotFoundError: The label is missing.
        ValueError: The label is damaged, of another size than the image, or holds other values.
    """

    reduce_zero_label: bool = False
    file_client_args: Mapping | None = None
    imdecode_backend: Literal[BACKENDS] = 'pillow'

    def __post_init__(self) -> None:
        self.file_client_args = dict(self.file_client_args or {'backend': 'disk'})
        self.file_client = open_disk('LoadAnnotations', self.file_client_args)

    def __call__(self, results: dict) -> dict:
        name = results['ann_info']['seg_map']
        prefix = results.get('seg_prefix')
        filename = name if prefix is None else osp.join(prefix, name)
        ignore_index = results.get('ignore_index', 255)
        label = read_label(filename, results.get('label_map'))
        self._check_size(label, results, filename)
        if self._reduces_zero(results):
            label = _reduce_zero(label, ignore_index)
        class_map = results.get('class_map')
        if class_map is not None:
            label = map_values(label, class_map)
        if results.get('num_classes') is not None:
            label = check_label_values(label, results['num_classes'], ignore_index, filename)
        results['gt_semantic_seg'] = label
        results.setdefault('seg_fields', []).append('gt_semantic_seg')
        return results

    def _reduces_zero(self, results: dict) -> bool:
        of_dataset = results.get('reduce_zero_label')
        if self.reduce_zero_label and of_dataset is False:
            raise ValueError(
                'LoadAnnotations has reduce_zero_label=True, but the data set has '
                'reduce_zero_label=False and would be evaluated without it; give '
                'reduce_zero_label=True to the data set'
            )
        return self.reduce_zero_label or bool(of_dataset)

    def _check_size(self, label: np.ndarray, results: dict, filename: str) -> None:
        # only right after loading: `img` is untouched as long as it has its first shape
        img = results.get('img')
        if img is None or img.shape != results.get('ori_shape', img.shape):
            return
        if label.shape[:2] != img.shape[:2]:
            (ih, iw), (lh, lw) = img.shape[:2], label.shape[:2]
            raise ValueError(
                f'{filename}: the label is {lh}x{lw} (height x width), but its image '
                f'{results.get("filename")} is {ih}x{iw}; they must be of one size'
            )


def _reduce_zero(label: np.ndarray, ignore_index: int) -> np.ndarray:
    if label.dtype == np.uint8:
        table = {v: ignore_index if v in (0, ignore_index) else v - 1 for v in range(256)}
        return map_values(label, table)
    return np.where((label == 0) | (label == ignore_index), ignore_index, label - 1)
