"""Hooks of every run: the clock, the progress bar, and the end by a signal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msseg.runner.builder import HOOKS
from msseg.runner.hooks.hook import Hook
from msseg.utils.dist import start_any_rank
from msseg.utils.progress_bar import progress_bar
from msseg.utils.stop_signals import StopSignals
from msseg.utils.target import get_target

if TYPE_CHECKING:
    from tqdm import tqdm

    from msseg.runner.runner import Runner

_BETWEEN_QUESTIONS = 10  # iterations
# without the elapsed time: a new bar starts after every evaluation
_BAR_FORMAT = '{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{remaining} left, {rate_fmt}]'


@HOOKS.register_module()
class IterTimerHook(Hook):
    """Log ``data_time`` (waiting for the batch) and ``time`` (the whole iteration), in seconds.

    The hook runs after the hooks that prepare an iteration and before those that evaluate and save,
    whose time is not counted. It waits for the device only before a log line, so the times of the
    iterations since the last line add up, and a single one may include work of the one before.
    """

    def before_iter(self, runner: Runner) -> None:
        """Measure the wait for the batch."""
        runner.iter_values['data_time'] = time.perf_counter() - runner.iter_start_s

    def after_iter(self, runner: Runner) -> None:
        """Measure the iteration."""
        if runner.is_logging():
            runner.outputs['loss'].asnumpy()
        runner.iter_values['time'] = time.perf_counter() - runner.iter_start_s


class ProgressHook(Hook):
    """Announce the compilation of the network and, on a terminal, show a progress bar.

    The bar starts when the first iteration is done: its rate does not include the compilation.
    """

    def __init__(self) -> None:
        self.is_first = True
        self.bar: tqdm | None = None

    def before_iter(self, runner: Runner) -> None:
        """Announce the compilation, with which the first step begins."""
        if self.is_first:
            runner.logger.info(
                'Compiling the network; the first step takes about a minute the first time'
            )
        self.is_first = False

    def after_train_iter(self, runner: Runner) -> None:
        """Move the bar."""
        if self.bar is not None:
            self.bar.update()
        elif runner.rank == 0:
            self.bar = progress_bar(
                total=runner.max_iters, desc='training', initial=runner.iter, bar_format=_BAR_FORMAT
            )

    @contextmanager
    def for_evaluation(self, runner: Runner) -> Iterator[None]:
        """Remove the bar: the evaluation has another."""
        self.after_run(runner)
        yield

    def after_run(self, runner: Runner) -> None:
        """Remove the bar."""
        if self.bar is not None:
            self.bar.close()
        self.bar = None


class StopSignalHook(Hook):
    """End the run after the iteration in which a signal came.

    Several devices end together, some iterations later: whether any has received a signal is asked
    in each iteration on the CPU and in each tenth on cards, and the answer is read the next time,
    so that no device waits for it. The hook runs after the evaluation and before the checkpoint,
    which saves a run that ends early.

    Args:
        signals: The signals received so far.
    """

    def __init__(self, signals: StopSignals) -> None:
        self.signals = signals
        self.pending: Callable[[], bool] | None = None
        self.every = 1 if get_target().name == 'CPU' else _BETWEEN_QUESTIONS

    def before_run(self, runner: Runner) -> None:
        """Stop for a signal that came during an interrupted evaluation."""
        self.after_train_iter(runner)

    def after_train_iter(self, runner: Runner) -> None:
        """Stop for a signal."""
        if runner.world_size > 1 and runner.iter % self.every:
            return
        received = self.signals.received
        answer: Callable[[], bool] | None = start_any_rank(received is not None)
        if runner.world_size > 1:
            answer, self.pending = self.pending, answer
        if answer is not None and answer():
            runner.stop('SIGTERM of another process' if received is None else received.name)
