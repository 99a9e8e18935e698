"""Data sets made of data sets."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from msseg.datasets.builder import DATASETS
from msseg.datasets.custom import check_labels
from msseg.datasets.pipelines import Compose
from msseg.datasets.sample_rng import get_filename
from msseg.utils.arguments import PositiveInt, checked
from msseg.utils.errors import UserValueError


class Wrapper:
    """Base of the wrappers; `_locate` finds a sample's data set and its index there."""

    def __init__(self, first: Any) -> None:
        self.CLASSES = first.CLASSES
        self.PALETTE = getattr(first, 'PALETTE', None)
        self.ignore_index = getattr(first, 'ignore_index', 255)
        self.test_mode = getattr(first, 'test_mode', False)

    def _locate(self, index: int) -> tuple[Any, int]:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: int) -> Any:
        dataset, inner = self._locate(index)
        return dataset[inner]

    def get_filename(self, index: int) -> str:
        """Return the path of a sample's image."""
        return get_filename(*self._locate(index))

    def get_gt_seg_map(self, index: int) -> np.ndarray:
        """Read a sample's label; see `CustomDataset.get_gt_seg_map`."""
        dataset, inner = self._locate(index)
        return dataset.get_gt_seg_map(inner)

    def _position(self, index: int) -> int:
        """Return an index from 0, of one that may count from the end."""
        if not -len(self) <= index < len(self):
            name = type(self).__name__
            raise IndexError(f'{name}: index {index} is outside its {len(self)} samples')
        return index % len(self)


@DATASETS.register_module()
class ConcatDataset(Wrapper):
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
        super().__init__(datasets[0])
        for other in datasets[1:]:
            for name in ('CLASSES', 'ignore_index'):
                ours, theirs = (getattr(each, name, None) for each in (datasets[0], other))
                if not _same(ours, theirs):
                    raise ValueError(
                        f'ConcatDataset: {name} of the data sets differ: {ours!r} and {theirs!r}; '
                        'join data sets that agree'
                    )
        self.datasets = list(datasets)
        self.separate_eval = separate_eval
        self.cumulative_sizes = list(accumulate(len(dataset) for dataset in datasets))

    @property
    def img_infos(self) -> list[dict]:
        """The image infos of all data sets."""
        return [info for dataset in self.datasets for info in dataset.img_infos]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def get_dataset_idx_and_sample_idx(self, index: int) -> tuple[int, int]:
        """Return the number of a sample's data set, and its index there."""
        position = self._position(index)
        part = bisect_right(self.cumulative_sizes, position)
        return part, position - (self.cumulative_sizes[part - 1] if part else 0)

    def _locate(self, index: int) -> tuple[Any, int]:
        part, inner = self.get_dataset_idx_and_sample_idx(index)
        return self.datasets[part], inner

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
class RepeatDataset(Wrapper):
    """A data set several times over, so that an epoch is longer.

    Each time a sample comes, it is augmented differently.

    Args:
        dataset: A data set (or, in a config, its config).
        times: How many times.

    Source: MMSegmentation 0.30 ``RepeatDataset``.
    """

    @checked
    def __init__(self, dataset: Any, times: PositiveInt) -> None:
        super().__init__(dataset)
        self.dataset = dataset
        self.times = times

    @property
    def img_infos(self) -> list[dict]:
        """The image infos, repeated."""
        return list(self.dataset.img_infos) * self.times

    def __len__(self) -> int:
        return self.times * len(self.dataset)

    def _locate(self, index: int) -> tuple[Any, int]:
        return self.dataset, self._position(index) % len(self.dataset)

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
        inner = [self._locate(index)[1] for index in indices]
        return self.dataset.format_results(results, imgfile_prefix, inner, **kwargs)


@DATASETS.register_module()
class MultiImageMixDataset(Wrapper):
    """A data set for training whose samples are mixed with others, such as by `RandomMosaic`.

    Args:
        dataset: A data set (or, in a config, its config). Its pipeline loads images and labels, and
            gives them as arrays.
        pipeline: Configs of the transforms that follow. One with ``get_indexes(dataset)`` finds
            the samples of these indices in ``results['mix_results']``.
        skip_type_keys: Types of transforms to leave out.

    Raises:
        ValueError: A data set for evaluation.

    Source: MMSegmentation 0.30 ``MultiImageMixDataset``.
    """

    @checked
    def __init__(
        self,
        dataset: Any,
        pipeline: Sequence[Mapping | Callable],
        skip_type_keys: Sequence[str] | None = None,
    ) -> None:
        super().__init__(dataset)
        if self.test_mode:
            raise UserValueError(
                'it mixes images, which is for training only',
                advice='give the data set itself to data.val and data.test',
                who='MultiImageMixDataset',
            )
        self.dataset = dataset
        self.pipeline = Compose(pipeline)
        self.update_skip_type_keys(skip_type_keys)

    def update_skip_type_keys(self, skip_type_keys: Sequence[str] | None) -> None:
        """Leave out transforms of other types from now on."""
        skipped = set(skip_type_keys or ())
        self._steps: list[tuple[Any, Compose]] = []  # what chooses samples to mix, and transforms
        parts: list[list] = [[]]
        for transform in self.pipeline.transforms:
            if type(transform).__name__ in skipped:
                continue
            if hasattr(transform, 'get_indexes'):
                parts += [[transform], []]
            else:
                parts[-1].append(transform)
        for i, part in enumerate(parts):
            self._steps.append((part[0] if i % 2 else None, Compose(part)))

    @property
    def img_infos(self) -> list[dict]:
        """The image infos of the data set."""
        return self.dataset.img_infos

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        results = self.dataset[index]
        for mixing, transforms in self._steps:
            if results is None:
                return None
            if mixing is not None:
                indices = mixing.get_indexes(self.dataset)
                indices = indices if isinstance(indices, Sequence) else [indices]
                results['mix_results'] = [self.dataset[i] for i in indices]
            results = transforms(results)
            if mixing is not None and results is not None:
                results.pop('mix_results', None)
        return results

    def _locate(self, index: int) -> tuple[Any, int]:
        return self.dataset, self._position(index)

    def check_labels(self) -> None:
        """Raise FileNotFoundError unless every image has its label file."""
        check_labels(self.dataset)


def _same(ours: Any, theirs: Any) -> bool:
    if ours is None or theirs is None or isinstance(ours, int):
        return ours == theirs
    return list(ours) == list(theirs)
