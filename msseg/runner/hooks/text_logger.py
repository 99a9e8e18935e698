"""The text log, and the same as JSON lines."""

from __future__ import annotations

import datetime
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from msseg.runner.builder import HOOKS
from msseg.runner.hooks.logger import LoggerHook
from msseg.utils.logging import PatientFile
from msseg.utils.resources import peak_memory_mb

if TYPE_CHECKING:
    from msseg.runner.runner import Runner


_TIMES = ('time', 'data_time')


@HOOKS.register_module()
class TextLoggerHook(LoggerHook):
    """Write lines to the log, and to ``{timestamp}.log.json`` in MMCV's form.

    See `LoggerHook` for the arguments. Source: MMCV 1.7 ``TextLoggerHook``.
    """

    def before_run(self, runner: Runner) -> None:
        """Start the JSON log with a line that describes the run."""
        self.timed_iters, self.train_time_s = -1, 0.0
        self.json = PatientFile(Path(runner.work_dir) / f'{runner.timestamp}.log.json')
        if runner.rank == 0:
            self.json.append(json.dumps(runner.meta) + '\n')

    def after_train_iter(self, runner: Runner) -> None:
        """Add up the time, except that of the first iteration, which compiles the network."""
        self.timed_iters += 1
        if self.timed_iters > 0:
            self.train_time_s += float(runner.iter_values.get('time', 0.0))
        super().after_train_iter(runner)

    def log(self, runner: Runner, mode: str, values: dict[str, float]) -> None:
        """Write one line to each log."""
        lr = runner.current_lr()[0]
        epoch = -(-runner.iter // runner.iters_per_epoch)
        inner = runner.inner_iter or runner.iters_per_epoch
        numbers = {'lr': lr, **values}
        if mode == 'train':
            numbers = {'lr': lr, 'memory': peak_memory_mb(), **values}
            texts = {'lr': f'{lr:.3e}', 'eta': self._eta(runner)}
            texts |= {name: f'{values[name]:.3f}' for name in _TIMES if name in values}
            texts['memory'] = str(numbers['memory'])
            texts |= {name: f'{v:.4f}' for name, v in values.items() if name not in _TIMES}
        else:
            texts = {name: 'n/a' if math.isnan(v) else f'{v:.4f}' for name, v in values.items()}
        kind = '(val)' if mode == 'val' else ''
        position = f'Iter{kind} [{runner.iter}/{runner.max_iters}]'
        if self.by_epoch:
            position = f'Epoch{kind} [{epoch}][{inner}/{runner.iters_per_epoch}]'
        items = ', '.join(f'{name}: {text}' for name, text in texts.items())
        runner.logger.info('%s\t%s', position, items)
        where = {'mode': mode, 'epoch': epoch, 'iter': inner if self.by_epoch else runner.iter}
        numbers = {name: _json_number(value) for name, value in numbers.items()}
        self.json.append(json.dumps({**where, **numbers}) + '\n')

    def _eta(self, runner: Runner) -> str:
        """Return the estimated time of the remaining iterations, n/a after the first one."""
        left = runner.max_iters - runner.iter
        if self.timed_iters < 1 and left:
            return 'n/a'
        left_s = left * self.train_time_s / max(self.timed_iters, 1)
        return str(datetime.timedelta(seconds=int(left_s)))


def _json_number(value: float) -> float | None:
    """Round a value; JSON has no NaN, so a score that does not exist is null."""
    if math.isnan(value):
        return None
    return value if isinstance(value, int) else float(f'{value:.5g}')
