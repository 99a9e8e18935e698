"""Which samples make which batch: a pure function of (seed, iteration)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


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
    """Cuts each epoch's order of samples into batches.

    Every epoch has ``iters_per_epoch`` whole batches; samples left over are dropped. A data set
    smaller than one batch is repeated within the epoch. All devices' batches of an iteration
    together are the same samples however many devices there are.

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
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def plan(self, iteration: int) -> BatchPlan:
        """Return this device's batch of an iteration, counted from 0."""
        epoch, position = divmod(iteration, self.iters_per_epoch)
        start = position * self.global_batch + self.rank * self.per_rank
        draws = self._order_of(epoch)[start : start + self.per_rank].tolist()
        return BatchPlan(epoch, [draw % self.num_samples for draw in draws], draws)

    def _order_of(self, epoch: int) -> np.ndarray:
        if epoch != self._epoch:
            if self.shuffle:
                order = np.random.default_rng((self.seed, epoch)).permutation(self.num_draws)
            else:
                order = np.arange(self.num_draws)
            self._epoch, self._order = epoch, order
        return self._order
