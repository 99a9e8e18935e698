"""The base of hooks: the points at which a runner calls them, and their order."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from msseg.utils.errors import UserValueError
from msseg.utils.suggest import nearest

if TYPE_CHECKING:
    from mindspore import Parameter

    from msseg.runner.runner import Runner

# Lower runs earlier; hooks of equal priority run in the order they were registered.
PRIORITIES = {
    'HIGHEST': 0,
    'VERY_HIGH': 10,
    'HIGH': 30,
    'ABOVE_NORMAL': 40,
    'NORMAL': 50,
    'BELOW_NORMAL': 60,
    'LOW': 70,
    'VERY_LOW': 90,
    'LOWEST': 100,
}


def priority_number(priority: int | str) -> int:
    """Return a priority as a number between 0 (first) and 100 (last)."""
    if isinstance(priority, str) and priority.upper() in PRIORITIES:
        return PRIORITIES[priority.upper()]
    if isinstance(priority, int) and 0 <= priority <= 100:
        return priority
    raise UserValueError(
        key='hook priority',
        got=priority,
        expected=f'0 to 100 or one of {list(PRIORITIES)}',
        suggestions=nearest(str(priority), PRIORITIES, 1),
    )


class Hook:
    """Act at set points of training. Override the points you need.

    ``before_iter`` and ``after_iter`` are called around every training iteration, and so on;
    ``before_train_iter`` and similar names are those that MMCV's hooks mostly override. In all
    ``after_`` points, ``runner.iter`` already counts the iteration (or ``runner.epoch`` the epoch)
    that has just ended.

    A hook with a state that resuming must restore returns its tensors by `parameters` and
    everything else by `state`.

    Source: MMCV 1.7 ``mmcv.runner.Hook``.

    >>> class StopLate(Hook):
    ...     def after_train_iter(self, runner):
    ...         if self.every_n_iters(runner, 1000) and runner.scores.get('mIoU', 0) > 0.8:
    ...             runner.stop('good enough')
    """

    def attach(self, runner: Runner) -> None:
        """Called when the hook is registered; the place to make tensors."""

    def parameters(self) -> dict[str, Parameter]:
        """Return the tensors to save in checkpoints, under names starting with ``hooks.``."""
        return {}

    def state(self) -> dict:
        """Return the other values to save in checkpoints: plain JSON values."""
        return {}

    def load_state(self, state: dict) -> None:
        """Restore what `state` returned when the checkpoint was written."""

    def for_evaluation(self, runner: Runner) -> AbstractContextManager[None]:
        """Return a context to hold during an evaluation, for instance with other weights."""
        return nullcontext()

    def before_run(self, runner: Runner) -> None:
        """Called once before the first iteration, after a checkpoint was resumed."""

    def before_save(self, runner: Runner) -> None:
        """Called before a checkpoint is written, in the process that writes it."""

    def after_evaluation(self, runner: Runner) -> None:
        """Called after every evaluation, in all processes; ``runner.scores`` are its scores."""

    def after_run(self, runner: Runner) -> None:
        """Called once when training has ended, also when it ended with an error."""

    def before_epoch(self, runner: Runner) -> None:
        """Called before the first iteration of every epoch."""

    def after_epoch(self, runner: Runner) -> None:
        """Called after the last iteration of every epoch."""

    def before_iter(self, runner: Runner) -> None:
        """Called before every iteration, after its batch is loaded."""

    def after_iter(self, runner: Runner) -> None:
        """Called after every iteration."""

    def before_train_epoch(self, runner: Runner) -> None:
        """Called before every training epoch; calls `before_epoch`."""
        self.before_epoch(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Called after every training epoch; calls `after_epoch`."""
        self.after_epoch(runner)

    def before_train_iter(self, runner: Runner) -> None:
        """Called before every training iteration; calls `before_iter`."""
        self.before_iter(runner)

    def after_train_iter(self, runner: Runner) -> None:
        """Called after every training iteration; calls `after_iter`."""
        self.after_iter(runner)

    def every_n_iters(self, runner: Runner, n: int) -> bool:
        """Whether the number of completed iterations is a multiple of `n` (never for n <= 0)."""
        return n > 0 and runner.iter % n == 0

    def every_n_epochs(self, runner: Runner, n: int) -> bool:
        """Whether the number of completed epochs is a multiple of `n` (never for n <= 0)."""
        return n > 0 and runner.epoch % n == 0

    def is_last_iter(self, runner: Runner) -> bool:
        """Whether the completed iteration is the last one."""
        return runner.iter >= runner.max_iters or runner.stop_reason is not None
