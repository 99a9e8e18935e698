"""The text log, and the same as JSON lines."""

from __future__ import annotations

import datetime
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from msseg.runner.builder import HOOKS
from msseg.runner.hooks.logger import LoggerHook
from msseg.utils.log_file import PatientFile
from msseg.utils.memory import peak_memory_mb

if TYPE_CHECKING:
    from msseg.runner.runner import Runner


@HOOKS.register_module()
class TextLoggerHook(LoggerHook):
    """Writes lines to the log, and to ``{timestamp}.log.json`` in MMCV's form.

    Args:
        interval: Iterations between training lines.
        by_epoch: Whether to count iterations within the epoch and show the epoch.
        ignore_last: See `LoggerHook`.

    Source: MMCV 1.7 ``TextLoggerHook``.
    """

    def before_run(self, runner: Runner) -> None:
        """Start the JSON log with a line on the run."""
        self.timed_iters, self.train_time_s = -1, 0.0
        self.json = PatientFile(Path(runner.work_dir) / f'{runner.timestamp}.log.json')
        if runner.rank == 0:
            self.json.append(json.dumps(runner.meta) + '\n')

    def after_train_iter(self, runner: Runner) -> None:
        """Count time for the estimate of what remains, then log as every logger.

        The first iteration compiles the network, so its time says nothing of the others.
        """
        self.timed_iters += 1
        if self.timed_iters > 0:
            self.train_time_s += float(runner.iter_values.get('time', 0.0))
        super().after_train_iter(runner)

    def log(self, runner: Runner, mode: str, values: dict[str, float]) -> None:
        """Write one line to each log."""
        lr = runner.current_lr()[0]
        where = {'mode': mode, 'epoch': self._shown_epoch(runner), 'iter': self._shown_iter(runner)}
        if mode == 'train':
            numbers = {'lr': lr, 'memory': peak_memory_mb(), **values}
            runner.logger.info('%s', self._train_line(runner, lr, values))
        else:
            numbers = {'lr': lr, **values}
            scores = ', '.join(f'{name}: {_score(value)}' for name, value in values.items())
            runner.logger.info('%s\t%s', self._position(runner, '(val)'), scores)
        values = {name: _json_number(value) for name, value in numbers.items()}
        self.json.append(json.dumps({**where, **values}) + '\n')

    def _train_line(self, runner: Runner, lr: float, values: dict[str, float]) -> str:
        timing = [f'{name}: {values[name]:.3f}' for name in ('time', 'data_time') if name in values]
        rest = [
            f'{name}: {value:.4f}'
            for name, value in values.items()
            if name not in ('time', 'data_time')
        ]
        items = [
            f'lr: {lr:.3e}',
            f'eta: {self._eta(runner)}',
            *timing,
            f'memory: {peak_memory_mb()}',
            *rest,
        ]
        return f'{self._position(runner)}\t' + ', '.join(items)

    def _eta(self, runner: Runner) -> str:
        """Return the time that the remaining iterations will take, n/a after the first one."""
        left = runner.max_iters - runner.iter
        if self.timed_iters < 1 and left:
            return 'n/a'
        left_s = left * self.train_time_s / max(self.timed_iters, 1)
        return str(datetime.timedelta(seconds=int(left_s)))

    def _position(self, runner: Runner, mode: str = '') -> str:
        if not self.by_epoch:
            return f'Iter{mode} [{runner.iter}/{runner.max_iters}]'
        inside = f'[{self._shown_iter(runner)}/{runner.iters_per_epoch}]'
        return f'Epoch{mode} [{self._shown_epoch(runner)}]{inside}'

    def _shown_epoch(self, runner: Runner) -> int:
        return -(-runner.iter // runner.iters_per_epoch)

    def _shown_iter(self, runner: Runner) -> int:
        return runner.inner_iter or runner.iters_per_epoch if self.by_epoch else runner.iter


def _json_number(value: float) -> float | None:
    """Round as logs do; JSON has no NaN, so a score that does not exist is null."""
    if math.isnan(value):
        return None
    return value if isinstance(value, int) else float(f'{value:.5g}')


def _score(value: float) -> str:
    return 'n/a' if math.isnan(value) else f'{value:.4f}'
