"""Cityscapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from msseg.datasets.builder import DATASETS
from msseg.datasets.custom import CustomDataset
from msseg.datasets.file_lists import report

_NUM_LABEL_IDS = 34
# The labelIds of the 19 classes, in the order of their trainIds.
LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)


def _label_id_map(ignored: int) -> dict[int, int]:
    """Return what each value of a labelIds file stands for: a trainId, or `ignored`."""
    return {i: LABEL_IDS.index(i) if i in LABEL_IDS else ignored for i in range(256)}


LABEL_ID_MAP = _label_id_map(255)


@DATASETS.register_module()
class CityscapesDataset(CustomDataset):
    """Cityscapes, 19 classes, in either of the two layouts in use.

    MMSegmentation's: ``img_dir='leftImg8bit/train', ann_dir='gtFine/train'`` with
    ``_gtFine_labelTrainIds.png`` files. The model zoo's: ``split='train.lst'``, whose lines hold
    an image and its ``_gtFine_labelIds.png``. Labels are read by their names: labelIds are
    mapped to trainIds on the way, also in folders with
    ``seg_map_suffix='_gtFine_labelIds.png'``.

    Source: MMSegmentation 0.30 ``CityscapesDataset``; the labels table of Cityscapes.
    """

    img_suffix = '_leftImg8bit.png'
    seg_map_suffix = '_gtFine_labelTrainIds.png'
    CLASSES = (
        'road', 'sidewalk', 'building', 'wall', 'fence', 'pole', 'traffic light', 'traffic sign',
        'vegetation', 'terrain', 'sky', 'person', 'rider', 'car', 'truck', 'bus', 'train',
        'motorcycle', 'bicycle',
    )  # fmt: skip
    PALETTE = (
        (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153),
        (153, 153, 153), (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152),
        (70, 130, 180), (220, 20, 60), (255, 0, 0), (0, 0, 142), (0, 0, 70), (0, 60, 100),
        (0, 80, 100), (0, 0, 230), (119, 11, 32),
    )  # fmt: skip

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.label_map is None and self._has_label_ids():
            self.label_map = _label_id_map(self.ignore_index)

    def _has_label_ids(self) -> bool:
        labels = [info['ann']['seg_map'] for info in self.img_infos if 'ann' in info]
        with_ids = [label.endswith('_labelIds.png') for label in labels]
        if any(with_ids) and not all(with_ids):
            other = labels[with_ids.index(False)]
            note = (
                f'CityscapesDataset: {self.split or self.img_dir} names labelIds files and others, '
                f'such as {other!r}; they hold different values: name one kind'
            )
            report(ValueError(note), 'refused', self.split or str(self.img_dir))
        return any(with_ids)

    def format_results(
        self,
        results: Sequence[np.ndarray],
        imgfile_prefix: str,
        indices: Sequence[int] | None = None,
        to_label_id: bool = True,
    ) -> list[str]:
        """Write predictions as the Cityscapes server takes them: PNG files of labelIds.

        Args:
            results: (h, w) class indices of each image.
            imgfile_prefix: Folder to write to.
            indices: The samples they belong to; all by default.
            to_label_id: Write labelIds, otherwise class indices.

        Returns:
            The files' paths.
        """
        if not to_label_id:
            return self._write_results(results, imgfile_prefix, indices)
        table = self._file_values()
        colours = np.zeros((_NUM_LABEL_IDS, 3), np.uint8)
        colours[list(LABEL_IDS)] = CityscapesDataset.PALETTE
        values = [table[np.asarray(result, np.int64)] for result in results]
        return self._write_results(values, imgfile_prefix, indices, colours)

    def _file_values(self) -> np.ndarray:
        table = np.zeros(256, np.uint8)
        for own, label_id in enumerate(LABEL_IDS):
            used = own if self.class_map is None else self.class_map[own]
            if used != self.ignore_index:
                table[used] = label_id
        return table
