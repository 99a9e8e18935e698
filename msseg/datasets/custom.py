"""The base class of the data sets."""

from __future__ import annotations

import os.path as osp
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from msseg.datasets import file_lists
from msseg.datasets.builder import DATASETS
from msseg.datasets.classes import choose_classes
from msseg.datasets.file_client import open_disk
from msseg.datasets.pipelines import Compose, LoadAnnotations, LoadImageFromFile
from msseg.datasets.pipelines.label_map import check_label_targets, parse_label_map
from msseg.datasets.result_files import outputs_of, sample_names, write_label_file
from msseg.datasets.sample_rng import current_rng
from msseg.registry import call_with_cfg
from msseg.utils.arguments import (
    File,
    Int32,
    NonEmpty,
    NonNegativeInt,
    Range,
    Seed,
    checked,
)
from msseg.utils.logging import get_logger
from msseg.utils.outputs import are_unique

Byte = Annotated[int, Range(0, 255)]


@DATASETS.register_module()
class CustomDataset:
    """Images and labels in folders: ``img_dir/NAME{img_suffix}``, ``ann_dir/NAME{seg_map_suffix}``.

    A subclass sets `CLASSES`, `PALETTE` and its own defaults of `img_suffix`, `seg_map_suffix` and
    `reduce_zero_label` as class attributes.

    Args:
        pipeline: Configs of the transforms.
        img_dir: Folder of the images, searched to any depth. Optional with a ``.lst`` file.
        img_suffix: What image names end with; one or several. None: that of the class, ``.jpg``.
        ann_dir: Folder of the labels; None for images without labels.
        seg_map_suffix: What stands in place of `img_suffix` in label names. None: that of the
            class, ``.png``.
        split: Text file with one NAME a line; or a ``.lst`` file with an image and a label a
            line, relative to `data_root`. All images of `img_dir` by default.
        data_root: What relative `img_dir`, `ann_dir` and `split` start from.
        test_mode: Samples go through the pipeline without their labels.
        ignore_index: Label value of pixels that do not count; no class.
        reduce_zero_label: Files hold class i as i + 1, and 0 for pixels that do not count. None:
            that of the class, False.
        classes: Names of the classes to use, or a text file with one a line. Of a data set that
            defines its classes, a part of them: the others' pixels do not count.
        palette: RGB colour of each class.
        label_map: What the values of label files (or ranges of them such as ``'1-'``, or their
            (r, g, b) colours) mean: class indices or `ignore_index`. Values that it lacks stay;
            colours that it lacks are an error.
        num_samples: Use only the first `num_samples` images; None or 0 for all.
        val_fraction: Share of the images for validation, where there is no split: chosen by their
            names and `split_seed`; the same in the train and the val config.
        split_seed: Another one chooses other images.
        part: Which of the two this is, ``'train'`` or ``'val'``.
        gt_seg_map_loader_cfg: Arguments of the LoadAnnotations that evaluation uses.
        file_client_args: Only ``dict(backend='disk')``.

    Raises:
        FileNotFoundError: A folder, the split, an image of the split, or (in training) a label
            is missing; the message names the first.
        ValueError: There is no image, or an argument does not fit.

    Source: MMSegmentation 0.30 ``CustomDataset``, plus `label_map`, `num_samples`,
        `val_fraction`, several suffixes, ``.lst`` files, and labels that are checked where they
        are read.

    Examples:
        >>> import tempfile
        >>> from PIL import Image
        >>> root = tempfile.mkdtemp()
        >>> Image.new('RGB', (8, 6)).save(f'{root}/street.jpg')
        >>> Image.new('L', (8, 6), 1).save(f'{root}/street.png')
        >>> pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
        >>> dataset = CustomDataset(pipeline, root, ann_dir=root, classes=['road', 'sky'])
        >>> dataset[0]['img'].shape, dataset.get_gt_seg_map(0).max(), dataset.img_infos
        ((6, 8, 3), 1, [{'filename': 'street.jpg', 'ann': {'seg_map': 'street.png'}}])
    """

    CLASSES: Sequence[str] | None = None
    PALETTE: Sequence[Sequence[int]] | None = None
    img_suffix: str | Sequence[str] = '.jpg'
    seg_map_suffix: str = '.png'
    reduce_zero_label: bool = False
    needs_split: bool = False  # its folder of images holds others than those with labels
    writes_label_values: bool = True  # format_results; otherwise class indices

    @checked
    def __init__(
        self,
        pipeline: Sequence[Mapping | Callable],
        img_dir: File | None = None,
        img_suffix: str | NonEmpty[str] | None = None,
        ann_dir: File | None = None,
        seg_map_suffix: str | None = None,
        split: File | None = None,
        data_root: File | None = None,
        test_mode: bool = False,
        ignore_index: Int32 = 255,
        reduce_zero_label: bool | None = None,
        classes: File | Sequence[str] | None = None,
        palette: Sequence[tuple[Byte, Byte, Byte]] | None = None,
        label_map: Mapping | None = None,
        num_samples: NonNegativeInt | None = None,
        val_fraction: Annotated[float, Range(0, 1, above=True, below=True)] | None = None,
        split_seed: Seed = 0,
        part: Literal['train', 'val'] | None = None,
        gt_seg_map_loader_cfg: Mapping | None = None,
        file_client_args: Mapping | None = None,
    ) -> None:
        who = type(self).__name__
        if self.needs_split and split is None:
            raise ValueError(
                f"{who}: split is None; give the text file that names this split's images, such as "
                "'ImageSets/Segmentation/train.txt'"
            )
        self.file_client_args = dict(file_client_args or {'backend': 'disk'})
        self.file_client = open_disk(who, file_client_args)
        self.pipeline = Compose(pipeline)
        if img_suffix is not None:
            self.img_suffix = img_suffix
        if seg_map_suffix is not None:
            self.seg_map_suffix = seg_map_suffix
        if reduce_zero_label is not None:
            self.reduce_zero_label = reduce_zero_label
        self.test_mode = test_mode
        self.ignore_index = ignore_index
        self.data_root = data_root
        self.img_dir, self.ann_dir = self._join(img_dir), self._join(ann_dir)
        self.split = self._join(split)
        self.label_map = parse_label_map(label_map, who)
        self._choose_classes(classes, palette)
        self.gt_seg_map_loader = call_with_cfg(LoadAnnotations, gt_seg_map_loader_cfg or {})
        img_infos = self.load_annotations(
            self.img_dir, self.img_suffix, self.ann_dir, self.seg_map_suffix, self.split
        )
        if val_fraction is not None or part is not None or split_seed != 0:
            img_infos = file_lists.take_part(img_infos, part, val_fraction, split_seed, who)
        self.img_infos = self._first(img_infos, num_samples)
        if self.ann_dir is not None and not test_mode:
            self.check_labels()
        place = f' in {self.img_dir}' if self.img_dir else ''
        use = 'evaluation' if test_mode else 'training'
        get_logger().info('%s: %d images%s, for %s', who, len(self), place, use)
        self._planned: tuple[str, list[Path]] | None = None

    def _join(self, path: str | None) -> str | None:
        return path if path is None or self.data_root is None else osp.join(self.data_root, path)

    def _choose_classes(self, classes: Any, palette: Any) -> None:
        """Set CLASSES, PALETTE and what becomes of the labels' values."""
        who, ignore_index = type(self).__name__, self.ignore_index
        # else PALETTE has arbitrary colours, which mean nothing
        self.palette_is_known = palette is not None or self.PALETTE is not None
        choice = choose_classes(self.CLASSES, self.PALETTE, classes, palette, who)
        own_classes = self.CLASSES or choice.names  # what label_map leads to
        if self.label_map is not None and own_classes is not None:
            check_label_targets(
                self.label_map, len(own_classes), ignore_index, self.reduce_zero_label, who
            )
        self.CLASSES, self.PALETTE = choice.names, choice.palette
        if self.CLASSES is not None and 0 <= ignore_index < len(self.CLASSES):
            raise ValueError(
                f'{who}: ignore_index is {ignore_index}, one of the {len(self.CLASSES)} classes, '
                'which would count nowhere; give another value, such as -1, to data sets, heads '
                'and seg_pad_val'
            )
        if self.test_mode and self.CLASSES is None:
            raise ValueError(f'{who}: the classes are unknown; give classes=[…], their names')
        self.custom_classes = classes is not None
        self.class_map = choice.class_map and {
            old: ignore_index if new < 0 else new for old, new in choice.class_map.items()
        }

    def _first(self, img_infos: list[dict], num_samples: int | None) -> list[dict]:
        return img_infos[: num_samples or None]

    def __len__(self) -> int:
        return len(self.img_infos)

    def load_annotations(
        self,
        img_dir: str | None,
        img_suffix: str | Sequence[str],
        ann_dir: str | None,
        seg_map_suffix: str,
        split: str | None,
    ) -> list[dict]:
        """List the images and the names of their labels; subclasses may override it.

        Returns:
            For each image ``dict(filename=…, ann=dict(seg_map=…))``, relative to the folders.
        """
        who = type(self).__name__
        if split is not None and split.endswith('.lst'):
            return self._load_pairs(split, who)
        if img_dir is None:
            raise ValueError(
                f'{who}: img_dir is missing; give the folder of the images, or split=….lst with '
                'an image and a label a line'
            )
        if ann_dir is not None and not self.test_mode:
            file_lists.check_folder(ann_dir, 'ann_dir', who)
        label_suffix = None if ann_dir is None else seg_map_suffix
        if split is not None:
            return file_lists.list_split(split, img_dir, img_suffix, label_suffix, who)
        return file_lists.list_folder(img_dir, img_suffix, label_suffix, who)

    def _load_pairs(self, split: str, who: str) -> list[dict]:
        # names in the file start from data_root, unless folders are given
        root = self.data_root or osp.dirname(split)
        self.img_dir = root if self.img_dir is None else self.img_dir
        img_infos = file_lists.list_pairs(split, self.img_dir, who)
        if self.ann_dir is None and any('ann' in info for info in img_infos):
            self.ann_dir = root
        return img_infos

    def check_labels(self) -> None:
        """Raise FileNotFoundError unless every image has its label file."""
        file_lists.check_labels(self.img_infos, self.img_dir, self.ann_dir, type(self).__name__)

    def get_filename(self, index: int) -> str:
        """Return the path of a sample's image."""
        name = file_lists.image_name(self.img_infos[index], type(self).__name__)
        return osp.join(self.img_dir or '', name)

    def get_ann_info(self, index: int) -> dict:
        """Return a sample's ``dict(seg_map=…)``, the name of its label; ValueError without one."""
        ann = self.img_infos[index].get('ann')
        if ann is None:
            raise ValueError(
                f'{type(self).__name__}: {self.get_filename(index)} has no label; give ann_dir'
            )
        return ann

    def pre_pipeline(self, results: dict) -> None:
        """Add to a sample what the transforms need to know of the data set."""
        results['seg_fields'] = []
        results['img_prefix'] = self.img_dir
        results['seg_prefix'] = self.ann_dir
        results['label_map'] = self.label_map
        results['class_map'] = self.class_map
        results['ignore_index'] = self.ignore_index
        results['reduce_zero_label'] = self.reduce_zero_label
        results['num_classes'] = None if self.CLASSES is None else len(self.CLASSES)
        rng = current_rng()
        if rng is not None:
            results['rng'] = rng

    def __getitem__(self, index: int) -> Any:
        return self.prepare_test_img(index) if self.test_mode else self.prepare_train_img(index)

    def _start(self, index: int, **more: Any) -> dict:
        results = dict(img_info=self.img_infos[index], **more)
        self.pre_pipeline(results)
        return results

    def prepare_train_img(self, index: int) -> Any:
        """Send an image and its label through the pipeline."""
        return self.pipeline(self._start(index, ann_info=self.get_ann_info(index)))

    def prepare_test_img(self, index: int) -> Any:
        """Send an image through the pipeline."""
        return self.pipeline(self._start(index))

    def get_gt_seg_map(self, index: int) -> np.ndarray:
        """Read a sample's label as evaluation needs it.

        Pixels of which the image has no data, as the pipeline loads it, become ignore_index.

        Returns:
            (h, w) at the file's size, class indices in use and ignore_index; uint8 where those
            fit, else int16.

        Raises:
            FileNotFoundError, ValueError: As `LoadAnnotations`.
        """
        results = self._start(index, ann_info=self.get_ann_info(index))
        for loader in self.pipeline.transforms[:1]:
            if isinstance(loader, LoadImageFromFile):
                results['no_data'] = loader.no_data(self.get_filename(index))
        return self.gt_seg_map_loader(results)['gt_semantic_seg']

    def get_gt_seg_map_by_idx(self, index: int) -> np.ndarray:
        """MMSegmentation's name of `get_gt_seg_map`."""
        return self.get_gt_seg_map(index)

    def get_gt_seg_maps(self) -> Iterator[np.ndarray]:
        """Yield all labels in order."""
        return (self.get_gt_seg_map(i) for i in range(len(self)))

    def format_results(
        self,
        results: Sequence[np.ndarray],
        imgfile_prefix: str,
        indices: Sequence[int] | None = None,
    ) -> list[str]:
        """Write predictions as PNG files of class indices, as label files hold them.

        Args:
            results: (h, w) class indices of each image.
            imgfile_prefix: Folder to write to.
            indices: The samples they belong to; all by default.

        Returns:
            The files' paths.
        """
        if self.reduce_zero_label and self.writes_label_values:
            results = [np.asarray(result).astype(np.int32) + 1 for result in results]
        return self._write_results(results, imgfile_prefix, indices)

    def result_paths(self, folder: str | Path) -> list[Path]:
        """Return the files that `format_results` writes, for all samples.

        They are named after the images; with the folders below `img_dir` where two images would
        have one name.

        Raises:
            ValueError, OSError: See `Outputs.files`.
        """
        if self._planned is None or self._planned[0] != str(folder):
            names = sample_names(self)
            short = [osp.basename(name) for name in names]
            names = [f'{name}.png' for name in (short if are_unique(short) else names)]
            self._planned = str(folder), outputs_of(self).files(folder, names, 'format_results')
        return self._planned[1]

    def _write_results(
        self,
        results: Sequence[np.ndarray],
        folder: str,
        indices: Sequence[int] | None,
        palette: np.ndarray | None = None,
    ) -> list[str]:
        """Write label maps, in the values of label files."""
        paths = self.result_paths(folder)
        most = 0 if self.CLASSES is None else len(self.CLASSES) - 1 + int(self.reduce_zero_label)
        files = paths if indices is None else [paths[index] for index in indices]
        for path, result in zip(files, results, strict=True):
            write_label_file(path, result, palette, most)
        return [str(path) for path in files]


def check_labels(dataset: Any) -> None:
    """Check that a data set can be scored, and that every image has its label file.

    Raises:
        TypeError: It is not derived from `CustomDataset` and lacks what scoring needs.
        FileNotFoundError: An image has no label file.
    """
    needed = ('CLASSES', 'ignore_index', 'get_gt_seg_map')
    missing = [name for name in needed if getattr(dataset, name, None) is None]
    if missing:
        raise TypeError(
            f'{type(dataset).__name__} cannot be evaluated, it has no {", ".join(missing)}: derive '
            'it from CustomDataset, or give it CLASSES (the names), ignore_index (the label value '
            'of pixels that do not count) and get_gt_seg_map(index) (the label of an image, (h, w) '
            'class indices)'
        )
    if hasattr(dataset, 'check_labels'):
        dataset.check_labels()
