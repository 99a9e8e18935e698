"""A data set that a data YAML describes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from msseg.datasets.builder import DATASETS
from msseg.datasets.custom import Byte, CustomDataset
from msseg.datasets.data_yaml import read_data_yaml
from msseg.utils.arguments import File, Int32, NonNegativeInt, checked
from msseg.utils.logging import get_logger


@DATASETS.register_module()
class YamlDataset(CustomDataset):
    """The images of a split of a data YAML, with their labels; see `read_data_yaml`.

    Args:
        pipeline: Configs of the transforms.
        data: The file.
        part: Which of its splits; where it has no ``test``, that is ``val``.
        classes: Some of its names; the pixels of others do not count. All by default.
        palette: RGB colour of each class, in place of the file's.
        label_map: See `CustomDataset`; in place of the file's.
        test_mode: Samples go through the pipeline without their labels.
        ignore_index: Label value of pixels that do not count; no class.
        num_samples: Use only the first so many images; None or 0 for all.
        gt_seg_map_loader_cfg: Arguments of the LoadAnnotations that evaluation uses.

    Raises:
        FileNotFoundError: The file, an image that it lists or a label is missing.
        ValueError, TypeError, KeyError: The file is no data YAML.
    """

    img_suffix = ()  # its images are those of the file, of any suffix

    @checked
    def __init__(
        self,
        pipeline: Sequence[Mapping | Callable],
        data: File,
        part: Literal['train', 'val', 'test'] = 'train',
        classes: File | Sequence[str] | None = None,
        palette: Sequence[tuple[Byte, Byte, Byte]] | None = None,
        label_map: Mapping | None = None,
        test_mode: bool = False,
        ignore_index: Int32 = 255,
        num_samples: NonNegativeInt | None = None,
        gt_seg_map_loader_cfg: Mapping | None = None,
    ) -> None:
        self._content = read_data_yaml(data)
        for line in self._content.unused:
            get_logger().warning('%s: %s', data, line)
        has_test = 'test' in self._content.entries
        self.part = 'val' if part == 'test' and not has_test else part
        images = self._content.images(self.part)
        self._pairs = [(image, self._content.mask_of(image)) for image in images]
        img_dir, ann_dir = (
            os.path.commonpath([path.parent for path in paths])
            for paths in zip(*self._pairs, strict=True)
        )
        if classes is not None:
            self.CLASSES = tuple(self._content.names)
        super().__init__(
            pipeline,
            img_dir=img_dir,
            ann_dir=ann_dir,
            classes=self._content.names if classes is None else classes,
            palette=self._content.palette if palette is None else palette,
            label_map=self._content.label_map if label_map is None else label_map,
            test_mode=test_mode,
            ignore_index=ignore_index,
            num_samples=num_samples,
            gt_seg_map_loader_cfg=gt_seg_map_loader_cfg,
        )

    def load_annotations(
        self,
        img_dir: str | None,
        img_suffix: str | Sequence[str],
        ann_dir: str | None,
        seg_map_suffix: str,
        split: str | None,
    ) -> list[dict]:
        """List the pairs of the file, relative to the two folders; the rest does not count."""
        return [
            {
                'filename': os.path.relpath(image, img_dir),
                'ann': {'seg_map': os.path.relpath(mask, ann_dir)},
            }
            for image, mask in self._pairs
        ]
