"""Curves for TensorBoard."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from msseg.runner.builder import HOOKS
from msseg.runner.hooks.logger import LoggerHook
from msseg.utils.extras import import_extra

if TYPE_CHECKING:
    from msseg.runner.runner import Runner


@HOOKS.register_module()
class TensorboardLoggerHook(LoggerHook):
    """Writes scalars under ``train/`` and ``val/`` to ``tf_logs`` in the work dir.

    Args:
        log_dir: Folder for the event files; ``tf_logs`` in the work dir by default.
        interval: Iterations between training points.
        by_epoch: See `LoggerHook`.
        ignore_last: See `LoggerHook`.

    Raises:
        ImportError: The extra ``tensorboard`` is not installed.
    """

    def __init__(
        self,
        log_dir: str | None = None,
        interval: int = 10,
        by_epoch: bool = True,
        ignore_last: bool = True,
    ) -> None:
        super().__init__(interval, by_epoch, ignore_last)
        self.log_dir = log_dir
        self.tensorboardx = import_extra(
            'tensorboardX', extra='tensorboard', used_by='TensorboardLoggerHook'
        )
        self.writer = None

    def before_run(self, runner: Runner) -> None:
        """Open the event file."""
        if runner.rank == 0:
            folder = Path(self.log_dir) if self.log_dir else Path(runner.work_dir) / 'tf_logs'
            self.writer = self.tensorboardx.SummaryWriter(str(folder))

    def log(self, runner: Runner, mode: str, values: dict[str, float]) -> None:
        """Write one point to each curve."""
        for name, value in {'learning_rate': runner.current_lr()[0], **values}.items():
            if not math.isnan(value):
                self.writer.add_scalar(f'{mode}/{name}', value, runner.iter)

    def after_run(self, runner: Runner) -> None:
        """Close the event file."""
        if self.writer is not None:
            self.writer.close()
