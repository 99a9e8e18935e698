"""The learning-rate schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from msseg.runner.builder import HOOKS
from msseg.runner.hooks.hook import Hook
from msseg.runner.optimizer import set_lr
from msseg.runner.schedules import get_policy, warmup_factor
from msseg.utils.arguments import (
    NonNegativeInt,
    PositiveInt,
    Range,
    accepted_arguments,
    argument_hints,
    check_value,
    checked,
)
from msseg.utils.errors import UserTypeError, UserValueError, unknown_name
from msseg.utils.user_code import running

if TYPE_CHECKING:
    from msseg.runner.runner import Runner


@HOOKS.register_module()
class LrUpdaterHook(Hook):
    """Set the learning rate of every parameter group before each iteration.

    Args:
        policy: Name of a schedule in ``msseg.runner.schedules``.
        by_epoch: Whether progress counts epochs (the rate changes once an epoch) or iterations.
        warmup: None, ``constant``, ``linear`` or ``exp``.
        warmup_iters: Length of the warm-up, in iterations, or in epochs with `warmup_by_epoch`.
        warmup_ratio: Factor on the learning rate at the start of the warm-up, in (0, 1].
        warmup_by_epoch: See `warmup_iters`.
        warmup_per_epoch: Whether the factor of a warm-up in epochs changes once an epoch; in each
            iteration otherwise.
        begin: Iteration or epoch, as `by_epoch` counts, from which the schedule's progress counts.
        end: The one at which the schedule ends, so that the rate stays; None is the run's end.
        policy_args: Arguments of the schedule, such as ``power`` and ``min_lr``.

    Source: MMCV 1.7 ``LrUpdaterHook``.

    >>> hook = LrUpdaterHook('poly', by_epoch=False, power=0.9, warmup='linear', warmup_iters=100)
    """

    @checked
    def __init__(
        self,
        policy: str,
        by_epoch: bool = True,
        warmup: Literal['constant', 'linear', 'exp'] | None = None,
        warmup_iters: NonNegativeInt = 0,
        warmup_ratio: Annotated[float, Range(0, 1, above=True)] = 0.1,
        warmup_by_epoch: bool = False,
        warmup_per_epoch: bool = False,
        begin: NonNegativeInt = 0,
        end: PositiveInt | None = None,
        **policy_args: Any,
    ) -> None:
        self.schedule = get_policy(policy)
        known = accepted_arguments(self.schedule) - {'base_lr', 'progress', 'total'}
        for name in policy_args:
            if name not in known:
                own = {'warmup', 'warmup_iters', 'warmup_ratio', 'warmup_by_epoch', 'by_epoch'}
                problem = f'policy {policy!r} takes no argument {name!r}'
                raise unknown_name(problem, name, known | own, UserTypeError, who='lr_config')
        for name, hint in argument_hints(self.schedule).items():
            if name in policy_args:
                check_value(policy_args[name], hint, name, f'lr_config: policy {policy!r}')
        if warmup is not None and warmup_iters == 0:
            raise ValueError('lr_config: warmup_iters is 0, expected at least 1 with a warmup')
        if warmup_per_epoch and not warmup_by_epoch:
            raise UserValueError(
                key='warmup_per_epoch', got=True, who='lr_config',
                expected='False without warmup_by_epoch=True',
            )  # fmt: skip
        if end is not None and end <= begin:
            raise UserValueError(
                key='end', got=end, expected=f'a number above begin, {begin}', who='lr_config'
            )
        self.policy_args = policy_args
        self.by_epoch = by_epoch
        self.warmup = warmup
        self.warmup_length = warmup_iters
        self.warmup_ratio = warmup_ratio
        self.warmup_by_epoch = warmup_by_epoch
        self.warmup_per_epoch = warmup_per_epoch
        self.begin = begin
        self.end = end

    def before_run(self, runner: Runner) -> None:
        """Compute a rate, so that a wrong argument ends the run before it starts."""
        with running('lr_config'):
            self.lrs(runner)

    def before_train_iter(self, runner: Runner) -> None:
        """Set the rates for the coming iteration."""
        runner.lrs = self.lrs(runner)
        set_lr(runner.optimizer, runner.lrs)

    def lrs(self, runner: Runner) -> list[float]:
        """Return the learning rate of every group for the iteration after ``runner.iter``."""
        if self.by_epoch:
            progress, total = runner.epoch, runner.max_epochs
        else:
            progress, total = runner.iter, runner.max_iters
        end = max(total, self.begin + 1) if self.end is None else self.end
        progress, total = min(max(progress, self.begin), end) - self.begin, end - self.begin
        factor = self._warmup_factor(runner)
        return [
            factor * self.schedule(base_lr, progress, total, **self.policy_args)
            for base_lr in runner.optimizer.base_lrs
        ]

    def _warmup_factor(self, runner: Runner) -> float:
        if self.warmup is None:
            return 1.0
        length = self.warmup_length * (runner.iters_per_epoch if self.warmup_by_epoch else 1)
        if runner.iter >= length:
            return 1.0
        done = runner.epoch * runner.iters_per_epoch if self.warmup_per_epoch else runner.iter
        return warmup_factor(self.warmup, done, length, self.warmup_ratio)
