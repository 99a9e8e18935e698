"""Load images and labels from files."""

from __future__ import annotations

import os.path as osp
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from msseg.datasets.file_client import open_disk
from msseg.datasets.pipelines.label_file import check_label_values, read_label
from msseg.datasets.pipelines.label_map import map_values
from msseg.datasets.pipelines.transform import register_transform
from msseg.utils.arguments import NonEmpty, Positive, PositiveInt
from msseg.utils.errors import UserValueError
from msseg.utils.image_bytes import read_bytes
from msseg.utils.image_file import BACKENDS, COLOR_TYPES, warn_of_unused
from msseg.utils.image_header import ImageHeader
from msseg.utils.image_loading import FROM_FILE, ImageLoading
from msseg.utils.image_values import Percentiles


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
    pad_shape, scale_factor, img_norm_cfg; no_data, bool (h, w), where pixels have no data.

    Args:
        to_float32: Convert to float32; the image is uint8 otherwise.
        color_type: ``color``, ``grayscale``, ``unchanged``, or one of the first two followed by
            ``_ignore_orientation``. Colours are in BGR order. With `bands` it is ``unchanged``.
        file_client_args: Only ``dict(backend='disk')``.
        imdecode_backend: ``cv2`` or ``pillow``.
        max_value: For images of more than 8 bits: the value that becomes 255, such as 4095 for 12
            bits. The image is then float32 from 0 to 255; one of 8 bits keeps its values.
        percentiles: In place of `max_value`: the two percentiles of each image that become 0 and
            255, as ``(1, 99)``.
        bands: Numbers of the channels to take, as GDAL counts them: from 1, in the order of the
            file, so that 1, 2, 3 are red, green, blue in a file of colours. They are loaded in the
            order given.
        nodata: The value of the file that stands for no data. ``'file'``: what the tag of a GeoTIFF
            says, if it has one; None: no value. NaN never is data, nor are infinite values unless
            `max_value` or `percentiles` clip them.
        nodata_rule: A pixel has no data where ``'any'`` or ``'all'`` of the loaded channels have
            none. Its label becomes ignore_index.
        fill: The value that missing values get: one number, or one for each loaded channel, such
            as the mean of Normalize.
        array: Of a ``.npz`` file, the name of the array. None: the only one that is an image.
        show_bands: Numbers of the channels that pictures show as red, green and blue, or of the one
            that they show as grey; as `bands` counts them, or without `bands` in the order in which
            they are loaded. None: see `as_bgr`.
        show_percentiles: The percentiles of each shown channel that become black and white. None:
            for `show_bands` of other types than bytes (2, 98).

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
    bands: NonEmpty[PositiveInt] | None = None
    nodata: float | Literal['file'] | None = FROM_FILE
    nodata_rule: Literal['any', 'all'] = 'any'
    fill: float | NonEmpty[float] = 0.0
    array: str | None = None
    show_bands: NonEmpty[PositiveInt] | None = None
    show_percentiles: Percentiles | None = None

    def __post_init__(self) -> None:
        self.file_client_args = dict(self.file_client_args or {'backend': 'disk'})
        self.file_client = open_disk('LoadImageFromFile', self.file_client_args)
        if self.bands is not None and self.color_type == 'color':
            self.color_type = 'unchanged'
        self.loading = ImageLoading(
            self.color_type,
            self.imdecode_backend,
            self.max_value,
            self.percentiles and tuple(self.percentiles),
            self.bands and tuple(self.bands),
            self.nodata,
            self.nodata_rule,
            tuple(self.fill) if isinstance(self.fill, Sequence) else self.fill,
            self.array,
        )
        shown = self.show_bands or ()
        missing = [band for band in shown if self.bands and band not in self.bands]
        if missing or len(shown) not in (0, 1, 3):
            raise UserValueError(
                key='show_bands',
                got=self.show_bands,
                expected=f'one or three numbers of {self.bands or "channels"}',
                who='LoadImageFromFile',
            )

    def __call__(self, results: dict) -> dict:
        name = results['img_info']['filename']
        prefix = results.get('img_prefix')
        filename = name if prefix is None else osp.join(prefix, name)
        data = read_bytes(filename)
        header = self.loading.header(data, filename)
        img, no_data = self.loading.load(data, filename, header)
        if header is not None:
            self.warn_of_unused(header, filename, prefix, data)
        if self.to_float32:
            img = img.astype(np.float32)
        results.update(describe_image(img, filename, name))
        results.pop('no_data', None)
        if no_data is not None:
            results['no_data'] = no_data
            if 'gt_semantic_seg' in results:
                ignore_no_data(results)
        return results

    @property
    def shown_channels(self) -> tuple[int, ...]:
        """Indices of the channels of a loaded image that pictures show; empty without a choice."""
        bands = self.bands and list(self.bands)
        return tuple(bands.index(n) if bands else n - 1 for n in self.show_bands or ())

    def no_data(self, path: str | Path) -> np.ndarray | None:
        """Return where an image has no data, bool (h, w); None where all pixels have some."""
        if not self.loading.may_lack_data(path):
            return None
        return self.loading.load(read_bytes(path), path).no_data

    def warn_of_unused(
        self,
        header: ImageHeader,
        path: str | Path,
        prefix: str | None = None,
        data: bytes | None = None,
    ) -> None:
        """Log once for the folder `prefix` what its files hold and loading leaves out."""
        warn_of_unused(header, path, self.color_type, self.loading.is_scaled, str(prefix), data)


def ignore_no_data(results: dict) -> None:
    """Set the label of pixels without data, if it is of their image's size, to ignore_index."""
    no_data, ignore_index = results.get('no_data'), results.get('ignore_index', 255)
    label = results['gt_semantic_seg']
    if no_data is None or label.shape != no_data.shape:
        return
    limits = np.iinfo(label.dtype)
    if not limits.min <= ignore_index <= limits.max:
        label = label.astype(np.int32)
    results['gt_semantic_seg'] = np.where(no_data, label.dtype.type(ignore_index), label)


@register_transform
class LoadAnnotations:
    """Read a label as class indices and check it.

    In this order: values or colours are mapped by ``results['label_map']``, label zero is
    dropped if asked for, the classes in use are picked by ``results['class_map']``, and any
    value left that is neither a class nor ignore_index is an error. (MMSegmentation 0.30 picks
    classes before it drops label zero, which mixes them up; without both it is the same.) Last,
    pixels of which the image has no data become ignore_index.

    Reads: seg_prefix, ann_info, seg_fields, label_map, class_map, num_classes, ignore_index,
    reduce_zero_label, no_data, img and ori_shape and filename (to compare sizes); all but ann_info
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
        ignore_no_data(results)
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
