"""The base of hooks that write what is logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msseg.runner.hooks.hook import Hook
from msseg.runner.log_buffer import LogBuffer
from msseg.utils.arguments import PositiveInt, checked

if TYPE_CHECKING:
    from msseg.runner.runner import Runner


class LoggerHook(Hook):
    """Averages the iterations' values and writes them every so often. Override `log`.

    Args:
        interval: Iterations between training lines.
        by_epoch: Whether to count iterations within the epoch and show the epoch.
        ignore_last: With `by_epoch`, whether to leave out the last iterations of an epoch when
            they are fewer than `interval`.

    Raises:
        ValueError: `interval` is not positive.

    Source: MMCV 1.7 ``LoggerHook``.
    """

    @checked
    def __init__(
        self, interval: PositiveInt = 10, by_epoch: bool = True, ignore_last: bool = True
    ) -> None:
        self.interval = interval
        self.by_epoch = by_epoch
        self.ignore_last = ignore_last
        self.buffer = LogBuffer()

    def after_train_iter(self, runner: Runner) -> None:
        """Collect this iteration's values; write and forget them when it is time."""
        if runner.rank != 0:
            return
        self.buffer.update(runner.iter_values)
        if self._is_due(runner):
            self.log(runner, 'train', self.buffer.averages())
            self.buffer.clear()

    def log(self, runner: Runner, mode: str, values: dict[str, float]) -> None:
        """Write values.

        Args:
            runner: The runner.
            mode: ``train`` or ``val``.
            values: Averages since the last line, or the scores of an evaluation.
        """
        raise NotImplementedError

    def _is_due(self, runner: Runner) -> bool:
        if not self.by_epoch:
            return self.every_n_iters(runner, self.interval)
        within = runner.inner_iter or runner.iters_per_epoch
        return within % self.interval == 0 or (
            not self.ignore_last and within == runner.iters_per_epoch
        )
