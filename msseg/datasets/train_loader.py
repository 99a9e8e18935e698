"""Batches for training, each a function of (seed, iteration) alone."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np

from msseg.datasets.sample_rng import get_filename, load_sample
from msseg.datasets.worker_pool import WORKER_TIMEOUT_S, WorkerPool, usable_workers
from msseg.datasets.worker_process import report_sample
from msseg.utils.arguments import Range, Seed, checked
from msseg.utils.logging import warn_once

Workers = Annotated[int, Range(0, 1024)]
Timeout = Annotated[float, Range(0, math.inf, above=True)]
_SHAPE_ADVICE = (
    'samples of a batch must be of one size: end the pipeline with RandomCrop(crop_size=…) and '
    'Pad(size=…) of that size'
)


class TrainBatch(NamedTuple):
    """One device's batch.

    Attributes:
        img: (n, 3, h, w) float32.
        gt: (n, h, w) int32.
        indices: Indices of the samples in the data set.
        filenames: Their image files.
    """

    img: np.ndarray
    gt: np.ndarray
    indices: list[int]
    filenames: list[str]


class BatchPlan(NamedTuple):
    """The samples of one device's batch.

    Attributes:
        epoch: Number of the epoch, from 0.
        indices: The samples.
        draws: What each sample's randomness is drawn for: its index, plus the data set's length
            for each time it came before in the same epoch.
    """

    epoch: int
    indices: list[int]
    draws: list[int]


class BatchSampler:
    """Cut each epoch's order of samples into batches, a pure function of (seed, iteration).

    Every epoch has `iters_per_epoch` whole batches; samples left over are dropped. A data set
    smaller than one batch is repeated within the epoch. All devices' batches of an iteration
    together are the same samples for any number of devices.

    Args:
        num_samples: Length of the data set.
        global_batch: Samples of all devices' batches together.
        seed: Seed of the order.
        shuffle: A new order each epoch, otherwise the data set's.
        rank: This device's number.
        world_size: Number of devices; divides `global_batch`.
    """

    def __init__(
        self,
        num_samples: int,
        global_batch: int,
        seed: int,
        shuffle: bool = True,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.num_samples = num_samples
        self.global_batch = global_batch
        self.seed = seed
        self.shuffle = shuffle
        self.rank = rank
        self.per_rank = global_batch // world_size
        self.num_draws = max(1, -(-global_batch // num_samples)) * num_samples
        self.iters_per_epoch = max(1, num_samples // global_batch)
        self._latest = -1, np.empty(0, np.int64)

    def plan(self, iteration: int) -> BatchPlan:
        """Return this device's batch of an iteration, counted from 0."""
        epoch, position = divmod(iteration, self.iters_per_epoch)
        start = position * self.global_batch + self.rank * self.per_rank
        draws = self._order_of(epoch)[start : start + self.per_rank].tolist()
        return BatchPlan(epoch, [draw % self.num_samples for draw in draws], draws)

    def _order_of(self, epoch: int) -> np.ndarray:
        latest, order = self._latest
        if epoch != latest:
            order = np.arange(self.num_draws)
            if self.shuffle:
                order = np.random.default_rng((self.seed, epoch)).permutation(self.num_draws)
            self._latest = epoch, order
        return order


class TrainLoader:
    """Load batches, in this process or in workers, with the same result.

    Args:
        dataset: A data set whose pipeline gives ``img`` and ``gt_semantic_seg`` as
            DefaultFormatBundle writes them.
        samples_per_gpu: Samples in this device's batch.
        workers_per_gpu: Worker processes, at most one for each core; 0 loads in this process.
        seed: Seed of order and augmentation, 0 or more.
        shuffle: A new order each epoch.
        rank: This device's number.
        world_size: Number of devices.
        worker_timeout: Seconds after which a worker that is busy with one sample counts as hung.

    Raises:
        ValueError: An empty data set or a number out of range.

    Examples:
        >>> class Dataset(list):
        ...     def __getitem__(self, index):
        ...         img, gt = np.zeros((3, 4, 4)), np.full((1, 4, 4), index)
        ...         return {'img': img, 'gt_semantic_seg': gt}
        >>> loader = TrainLoader(Dataset(range(5)), samples_per_gpu=2, workers_per_gpu=0, seed=0)
        >>> batch = next(loader.batches(start_iter=1000))
        >>> batch.img.shape, batch.gt.shape, loader.iters_per_epoch
        ((2, 3, 4, 4), (2, 4, 4), 2)
    """

    @checked
    def __init__(
        self,
        dataset: Any,
        samples_per_gpu: Annotated[int, Range(1, 2**20)],
        workers_per_gpu: Workers,
        seed: Seed,
        shuffle: bool = True,
        rank: int = 0,
        world_size: int = 1,
        worker_timeout: Timeout = WORKER_TIMEOUT_S,
    ) -> None:
        if len(dataset) == 0:
            raise ValueError(f'{type(dataset).__name__} is empty: there is nothing to train on')
        self.dataset = dataset
        self.samples_per_gpu = samples_per_gpu
        self.num_workers = usable_workers(workers_per_gpu)
        self.worker_timeout = worker_timeout
        self.seed = seed
        self.global_batch = samples_per_gpu * world_size
        self.sampler = BatchSampler(
            len(dataset), self.global_batch, seed, shuffle, rank, world_size
        )
        if len(dataset) < self.global_batch:
            warn_once(
                f'the data set has {len(dataset)} samples, fewer than a batch of '
                f'{self.global_batch}: they are repeated within an epoch, augmented anew'
            )
        self._pool = WorkerPool(
            functools.partial(_load_batch, dataset, self.sampler, seed),
            self.num_workers,
            self._describe,
            worker_timeout,
        )

    @property
    def iters_per_epoch(self) -> int:
        """Iterations of an epoch; samples that do not fill a batch are dropped."""
        return self.sampler.iters_per_epoch

    def batches(self, start_iter: int = 0) -> Iterator[TrainBatch]:
        """Yield the batches of iterations `start_iter`, `start_iter` + 1, … without end.

        Nothing before is read. Raises what loading a sample raised, with the file's name.
        """
        results = self._pool.imap(itertools.count(start_iter))
        for iteration, (img, gt) in enumerate(results, start_iter):
            plan = self.sampler.plan(iteration)
            yield TrainBatch(img, gt, plan.indices, _filenames(self.dataset, plan))

    def load(self, iteration: int) -> tuple[np.ndarray, np.ndarray]:
        """Load one batch in this process, for any number of workers: images and labels."""
        return _load_batch(self.dataset, self.sampler, self.seed, iteration)

    def _describe(self, iteration: int, position: int) -> str:
        return get_filename(self.dataset, self.sampler.plan(iteration).indices[position])

    def close(self) -> None:
        """End the workers."""
        self._pool.close()


def _load_batch(
    dataset: Any, sampler: BatchSampler, seed: int, iteration: int
) -> tuple[np.ndarray, np.ndarray]:
    plan = sampler.plan(iteration)
    samples = []
    for position, (index, draw) in enumerate(zip(plan.indices, plan.draws, strict=True)):
        report_sample(position)
        samples.append(load_sample(dataset, index, seed, plan.epoch, draw))
    names = _filenames(dataset, plan)
    img = _stack([_get(s, 'img', n) for s, n in zip(samples, names, strict=True)], names)
    gt = _stack([_get(s, 'gt_semantic_seg', n) for s, n in zip(samples, names, strict=True)], names)
    if gt.ndim == 4:  # (n, 1, h, w)
        gt = gt[:, 0]
    if img.ndim != 4 or img.shape[2:] != gt.shape[1:]:
        raise ValueError(
            f'{names[0]}: after the pipeline the image is {img.shape[1:]} and the label '
            f'{gt.shape[1:]}; expected (c, h, w) and (1, h, w): end the pipeline with '
            "DefaultFormatBundle and Collect(keys=['img', 'gt_semantic_seg'])"
        )
    return img.astype(np.float32, copy=False), gt.astype(np.int32, copy=False)


def _filenames(dataset: Any, plan: BatchPlan) -> list[str]:
    return [get_filename(dataset, index) for index in plan.indices]


def _get(sample: Any, key: str, filename: str) -> np.ndarray:
    if not isinstance(sample, dict) or not isinstance(sample.get(key), np.ndarray):
        got = sorted(sample) if isinstance(sample, dict) else repr(sample)
        raise ValueError(
            f'{filename}: the training pipeline gave {got}, without an array {key!r}; end it with '
            "DefaultFormatBundle and Collect(keys=['img', 'gt_semantic_seg'])"
        )
    return sample[key]


def _stack(arrays: Sequence[np.ndarray], names: Sequence[str]) -> np.ndarray:
    for array, name in zip(arrays, names, strict=True):
        if array.shape != arrays[0].shape:
            raise ValueError(
                f'{name} is {array.shape} after the pipeline, but {names[0]} is '
                f'{arrays[0].shape}; {_SHAPE_ADVICE}'
            )
    return np.stack(arrays)
