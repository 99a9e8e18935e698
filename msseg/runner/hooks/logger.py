"""The base of hooks that write logs."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from mindspore import Tensor

from msseg.runner.hooks.hook import Hook
from msseg.utils.arguments import PositiveInt, checked

if TYPE_CHECKING:
    from msseg.runner.runner import Runner


class LoggerHook(Hook):
    """Average the values of iterations and write them at intervals. Override `log`.

    Tensors are copied to the host only when a line is due, so that logging does not stop the device
    in each iteration.

    Args:
        interval: Iterations between training lines.
        by_epoch: Whether to count iterations within the epoch and show the epoch.
        ignore_last: With `by_epoch`, whether to leave out the last iterations of an epoch when
            they are fewer than `interval`.

    Attributes:
        num_images: The number of images of each evaluation that `log_images` gets.

    Source: MMCV 1.7 ``LoggerHook``.

    >>> class Printer(LoggerHook):
    ...     def log(self, runner, mode, values):
    ...         print(mode, runner.iter, values['loss'])
    """

    num_images = 0

    @checked
    def __init__(
        self, interval: PositiveInt = 10, by_epoch: bool = True, ignore_last: bool = True
    ) -> None:
        self.interval = interval
        self.by_epoch = by_epoch
        self.ignore_last = ignore_last
        self.history: dict[str, list[float | Tensor]] = {}

    def after_train_iter(self, runner: Runner) -> None:
        """Collect this iteration's values; write their averages when a line is due."""
        if runner.rank != 0:
            return
        for name, value in runner.iter_values.items():
            self.history.setdefault(name, []).append(value)
        if self.is_due(runner):
            averages = {name: _mean(values) for name, values in self.history.items()}
            self.history = {}
            self.log(runner, 'train', averages)

    def after_evaluation(self, runner: Runner) -> None:
        """Hand pictures of the evaluation to `log_images`."""
        if runner.rank == 0 and self.num_images and runner.pictures:
            self.log_images(runner, dict(islice(runner.pictures.items(), self.num_images)))

    def log_images(self, runner: Runner, pictures: Mapping[str, np.ndarray]) -> None:
        """Write pictures, RGB uint8 (h, w, 3), of images by name; nothing by default."""

    def log(self, runner: Runner, mode: str, values: dict[str, float]) -> None:
        """Write values.

        Args:
            runner: The runner.
            mode: ``train`` or ``val``.
            values: Averages since the last line, or the scores of an evaluation.
        """
        raise NotImplementedError

    def is_due(self, runner: Runner) -> bool:
        """Whether a training line follows the iteration that was completed."""
        if not self.by_epoch:
            return self.every_n_iters(runner, self.interval)
        within = runner.inner_iter or runner.iters_per_epoch
        return within % self.interval == 0 or (
            not self.ignore_last and within == runner.iters_per_epoch
        )


def _mean(values: list[float | Tensor]) -> float:
    on_host = [value.asnumpy() if isinstance(value, Tensor) else value for value in values]
    return float(np.mean([float(value) for value in on_host]))
