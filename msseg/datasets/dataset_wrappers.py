"""Data sets made of data sets."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from msseg.datasets.builder import DATASETS
from msseg.datasets.custom import check_labels
from msseg.datasets.sample_rng import get_filename
from msseg.utils.arguments import PositiveInt, checked


@DATASETS.register_module()
class ConcatDataset:
    """Several data sets one after the other.

    Args:
        datasets: Data sets (or, in a config, their configs) with the same classes.
        separate_eval: Evaluate each by itself, otherwise all together.

    Raises:
        ValueError: None given, or their classes or ignore_index differ.

    Source: MMSegmentation 0.30 ``ConcatDataset``.
    """

    @checked
    def __init__(self, datasets: Sequence[Any], separate_eval: bool = True) -> None:
        if not datasets:
            raise ValueError('ConcatDataset: there is no data set to join')
        first = datasets[0]
        for other in datasets[1:]:
            for name in ('CLASSES', 'ignore_index'):
                ours, theirs = getattr(first, name, None), getattr(other, name, None)
                if not _same(ours, theirs):
                    raise ValueError(
                        f'ConcatDataset: {name} of the data sets differ: {ours!r} and {theirs!r}; '
                        'join data sets that agree'
                    )
        self.datasets = list(datasets)
        self.separate_eval = separate_eval
        self.cumulative_sizes = list(accumulate(len(dataset) for dataset in datasets))
        self.CLASSES = first.CLASSES
        self.PALETTE = getattr(first, 'PALETTE', None)
        self.ignore_index = getattr(first, 'ignore_index', 255)
        self.test_mode = getattr(first, 'test_mode', False)

    @property
    def img_infos(self) -> list[dict]:
        """What is known of the images, of all data sets."""
        return [info for dataset in self.datasets for info in dataset.img_infos]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Any:
        part, inner = self.get_dataset_idx_and_sample_idx(index)
        return self.datasets[part][inner]

    def get_dataset_idx_and_sample_idx(self, index: int) -> tuple[int, int]:
        """Return which data set a sample is of, and its index there.

        Raises:
            IndexError: There is no such sample.
        """
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f'ConcatDataset: index {index} is outside its {len(self)} samples')
        part = bisect_right(self.cumulative_sizes, position)
        return part, position - (self.cumulative_sizes[part - 1] if part else 0)

    def get_filename(self, index: int) -> str:
        """Return the path of a sample's image."""
        part, inner = self.get_dataset_idx_and_sample_idx(index)
        return get_filename(self.datasets[part], inner)

    def get_gt_seg_map(self, index: int) -> np.ndarray:
        """Read a sample's label; see `CustomDataset.get_gt_seg_map`."""
        part, inner = self.get_dataset_idx_and_sample_idx(index)
        return self.datasets[part].get_gt_seg_map(inner)

    def check_labels(self) -> None:
        """Raise FileNotFoundError unless every image has its label file."""
        for dataset in self.datasets:
            check_labels(dataset)

    def result_paths(self, folder: str | Path) -> list[Path]:
        """Return the files that `format_results` writes, for all samples."""
        # a data set that is not made from CustomDataset decides on its files by itself
        parts = [(i, part) for i, part in enumerate(self.datasets) if hasattr(part, 'result_paths')]
        return [path for i, part in parts for path in part.result_paths(f'{folder}/{i}')]

    def format_results(
        self,
        results: Sequence[np.ndarray],
        imgfile_prefix: str,
        indices: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Write predictions, of each data set in a folder of its number."""
        indices = range(len(self)) if indices is None else indices
        files = []
        for result, index in zip(results, indices, strict=True):
            part, inner = self.get_dataset_idx_and_sample_idx(index)
            folder = f'{imgfile_prefix}/{part}'
            files += self.datasets[part].format_results([result], folder, [inner], **kwargs)
        return files


@DATASETS.register_module()
class RepeatDataset:
    """A data set several times over, so that an epoch is longer.

    Each time a sample comes, it is augmented anew.

    Args:
        dataset: A data set (or, in a config, its config).
        times: How many times.

    Source: MMSegmentation 0.30 ``RepeatDataset``.
    """

    @checked
    def __init__(self, dataset: Any, times: PositiveInt) -> None:
        self.dataset = dataset
        self.times = times
        self.CLASSES = dataset.CLASSES
        self.PALETTE = getattr(dataset, 'PALETTE', None)
        self.ignore_index = getattr(dataset, 'ignore_index', 255)
        self.test_mode = getattr(dataset, 'test_mode', False)

    @property
    def img_infos(self) -> list[dict]:
        """What is known of the images, repeated."""
        return list(self.dataset.img_infos) * self.times

    def __len__(self) -> int:
        return self.times * len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self._inner(index)]

    def get_filename(self, index: int) -> str:
        """Return the path of a sample's image."""
        return get_filename(self.dataset, self._inner(index))

    def get_gt_seg_map(self, index: int) -> np.ndarray:
        """Read a sample's label; see `CustomDataset.get_gt_seg_map`."""
        return self.dataset.get_gt_seg_map(self._inner(index))

    def check_labels(self) -> None:
        """Raise FileNotFoundError unless every image has its label file."""
        check_labels(self.dataset)

    def format_results(
        self,
        results: Sequence[np.ndarray],
        imgfile_prefix: str,
        indices: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Write predictions; repetitions of a sample are written to the same file."""
        indices = range(len(self)) if indices is None else indices
        inner = [self._inner(index) for index in indices]
        return self.dataset.format_results(results, imgfile_prefix, inner, **kwargs)

    def _inner(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise IndexError(f'RepeatDataset: index {index} is outside its {len(self)} samples')
        return index % len(self.dataset)


def _same(ours: Any, theirs: Any) -> bool:
    if ours is None or theirs is None or isinstance(ours, int):
        return ours == theirs
    return list(ours) == list(theirs)
