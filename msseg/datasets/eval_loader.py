"""Samples for evaluation, with their augmented images, metas and labels."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from msseg.datasets.sample_rng import get_filename, load_sample, name_sample
from msseg.datasets.train_loader import Timeout, Workers
from msseg.datasets.worker_pool import WORKER_TIMEOUT_S, WorkerPool, usable_workers
from msseg.utils.arguments import checked


class EvalSample(NamedTuple):
    """One image to predict.

    Attributes:
        index: Its index in the data set.
        imgs: For each augmentation (3, h, w) float32.
        metas: For each augmentation what Collect gathered.
        gt: (H, W) label at the file's size, None when the data set has no labels.
    """

    index: int
    imgs: list[np.ndarray]
    metas: list[dict]
    gt: np.ndarray | None


class EvalLoader:
    """Load samples in order, in this process or in workers, with the same result.

    Args:
        dataset: A data set in test mode.
        workers_per_gpu: Worker processes; 0 loads in this process; as `TrainLoader`.
        rank: This process's number: it takes samples rank, rank + world_size, …
        world_size: Number of processes.
        with_labels: Load labels too, where the data set has them.
        worker_timeout: As `TrainLoader`.
    """

    @checked
    def __init__(
        self,
        dataset: Any,
        workers_per_gpu: Workers,
        rank: int = 0,
        world_size: int = 1,
        with_labels: bool = True,
        worker_timeout: Timeout = WORKER_TIMEOUT_S,
    ) -> None:
        self.dataset = dataset
        self.num_workers = usable_workers(workers_per_gpu)
        self.with_labels = with_labels
        self.worker_timeout = worker_timeout
        self._indices = range(rank, len(dataset), world_size)
        self._pool = WorkerPool(
            functools.partial(_load, dataset, with_labels),
            self.num_workers if len(self) > 1 else 0,
            lambda index, _: get_filename(dataset, index),
            worker_timeout,
        )

    def __len__(self) -> int:
        return len(self._indices)

    def __iter__(self) -> Iterator[EvalSample]:
        return self._pool.imap(self._indices)

    def load(self, index: int) -> EvalSample:
        """Load the sample of an index in the data set."""
        return _load(self.dataset, self.with_labels, index)

    def close(self) -> None:
        """End the workers."""
        self._pool.close()


def _load(dataset: Any, with_labels: bool, index: int) -> EvalSample:
    data = load_sample(dataset, index, seed=0, epoch=0)
    filename = get_filename(dataset, index)
    infos = getattr(dataset, 'img_infos', None)
    own_name = infos[index].get('filename', filename) if infos else filename
    views = collected_views(data, f'{filename}: {_pipeline_of(dataset)}', filename, own_name)
    return EvalSample(index, *views, _load_label(dataset, index) if with_labels else None)


def _load_label(dataset: Any, index: int) -> np.ndarray | None:
    infos = getattr(dataset, 'img_infos', None)
    has_label = infos is None or 'ann' in infos[index]
    if not (has_label and hasattr(dataset, 'get_gt_seg_map')):
        return None
    try:
        return dataset.get_gt_seg_map(index)
    except Exception as error:
        name_sample(error, dataset, index)
        raise


def collected_views(
    data: Any, who: str, filename: str | None, ori_filename: str | None
) -> tuple[list[np.ndarray], list[dict]]:
    """Return the images and metas of a test pipeline's result, one of each for a scale and flip.

    Args:
        data: What the pipeline returned.
        who: The pipeline's name, for errors.
        filename: The image's file, where the pipeline does not collect it.
        ori_filename: Its name in the data set, where the pipeline does not collect it.

    Returns:
        Images, float32 (c, h, w), and dicts with at least ``ori_shape``, ``flip``,
        ``flip_direction`` and the names.
    """
    if not isinstance(data, dict) or 'img' not in data:
        raise ValueError(
            f"{who} gave no image; end its transforms with ImageToTensor(keys=['img']) and "
            "Collect(keys=['img'])"
        )
    imgs, metas = (
        value if isinstance(value, list) else [value]
        for value in (data['img'], data.get('img_metas'))
    )
    for meta in metas:
        if not isinstance(meta, dict) or 'ori_shape' not in meta:
            raise ValueError(
                f"{who} gave no 'ori_shape' in img_metas, which holds "
                f'{sorted(meta) if isinstance(meta, dict) else "nothing"}; end its transforms with '
                "Collect(keys=['img']), and let its meta_keys, if given, hold 'ori_shape'"
            )
    known = {'filename': filename, 'ori_filename': ori_filename}
    known |= {'flip': False, 'flip_direction': 'horizontal'}
    imgs = [np.ascontiguousarray(img, np.float32) for img in imgs]
    return imgs, [{**known, **meta} for meta in metas]


def _pipeline_of(dataset: Any) -> str:
    """Return where in the config a data set's pipeline, or that of its first part, stands."""
    while not hasattr(dataset, 'pipeline'):
        parts = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
        if parts[0] is None:
            return 'the test pipeline'
        dataset = parts[0]
    return getattr(dataset.pipeline, 'where', '') or 'the test pipeline'
