"""Samples for evaluation, each with its augmented images, metas and label."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from msseg.datasets.sample_rng import get_filename, load_sample, name_sample
from msseg.datasets.train_loader import check_count, check_timeout
from msseg.datasets.transport import pack, unpack
from msseg.datasets.worker_pool import HANG_AFTER_S, WorkerPool, usable_workers

_NO_LABEL = np.zeros(0, np.uint8)


class TestSample(NamedTuple):
    """One image to predict.

    Attributes:
        index: Its index in the data set.
        imgs: For each augmentation (3, h, w) float32.
        metas: For each augmentation what Collect gathered.
        gt: (H, W) label at the file's size, None when the data set has no labels.
    """

    __test__ = False  # not a test, whatever pytest thinks of the name

    index: int
    imgs: list[np.ndarray]
    metas: list[dict]
    gt: np.ndarray | None


class TestLoader:
    """Loads samples in order, in this process or in workers, with the same result.

    Args:
        dataset: A data set in test mode.
        workers_per_gpu: Worker processes; 0 loads in this process; as `TrainLoader`.
        rank: This process's number: it takes samples rank, rank + world_size, …
        world_size: Number of processes.
        with_labels: Load labels too, where the data set has them.
        worker_timeout: As `TrainLoader`.
    """

    __test__ = False

    def __init__(
        self,
        dataset: Any,
        workers_per_gpu: int,
        rank: int = 0,
        world_size: int = 1,
        with_labels: bool = True,
        worker_timeout: float = HANG_AFTER_S,
    ) -> None:
        check_count('workers_per_gpu', workers_per_gpu, 0)
        check_timeout(worker_timeout)
        self.dataset = dataset
        self.num_workers = usable_workers(workers_per_gpu)
        self.with_labels = with_labels
        self.worker_timeout = worker_timeout
        self._indices = range(rank, len(dataset), world_size)
        self._pools: list[WorkerPool] = []

    def __len__(self) -> int:
        return len(self._indices)

    def __iter__(self) -> Iterator[TestSample]:
        if self.num_workers == 0 or len(self) < 2:
            for index in self._indices:
                yield self.load(index)
            return
        pool = WorkerPool(
            self._load_row,
            num_columns=3,
            num_rows=len(self),
            num_workers=self.num_workers,
            describe=lambda row, _: get_filename(self.dataset, self._indices[row]),
            hang_after_s=self.worker_timeout,
        )
        self._pools.append(pool)
        try:
            for index, row in zip(self._indices, pool, strict=True):
                yield _unflatten(index, *row)
        finally:
            pool.close()
            self._pools.remove(pool)

    def load(self, index: int) -> TestSample:
        """Load a sample.

        Args:
            index: Its index in the data set.

        Returns:
            The sample.
        """
        data = load_sample(self.dataset, index, seed=0, epoch=0)
        filename = get_filename(self.dataset, index)
        if not isinstance(data, dict) or 'img' not in data:
            raise ValueError(
                f'{filename}: the test pipeline gave no image; end its transforms with '
                "ImageToTensor(keys=['img']) and Collect(keys=['img'])"
            )
        imgs = data['img'] if isinstance(data['img'], list) else [data['img']]
        metas = data.get('img_metas', [{} for _ in imgs])
        metas = metas if isinstance(metas, list) else [metas]
        imgs = [np.ascontiguousarray(img, np.float32) for img in imgs]
        return TestSample(index, imgs, metas, self._load_label(index))

    def _load_label(self, index: int) -> np.ndarray | None:
        infos = getattr(self.dataset, 'img_infos', None)
        has_label = infos is None or 'ann' in infos[index]
        if not (self.with_labels and has_label and hasattr(self.dataset, 'get_gt_seg_map')):
            return None
        try:
            return self.dataset.get_gt_seg_map(index)
        except Exception as error:
            name_sample(error, self.dataset, index)
            raise

    def _load_row(self, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        _, imgs, metas, gt = self.load(self._indices[row])
        flat = imgs[0].ravel() if len(imgs) == 1 else np.concatenate([i.ravel() for i in imgs])
        header = pack(([img.shape for img in imgs], metas, gt is not None))
        return flat, _NO_LABEL if gt is None else gt, header

    def close(self) -> None:
        """End the workers."""
        for pool in self._pools:
            pool.close()
        self._pools.clear()


def _unflatten(index: int, flat: np.ndarray, gt: np.ndarray, header: np.ndarray) -> TestSample:
    shapes, metas, has_gt = unpack(header)
    imgs, start = [], 0
    for shape in shapes:
        size = int(np.prod(shape))
        imgs.append(flat[start : start + size].reshape(shape))
        start += size
    return TestSample(index, imgs, metas, gt if has_gt else None)
