"""Early stopping of a run whose scores no longer improve."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msseg.runner.builder import HOOKS
from msseg.runner.hooks.evaluation import EvalHook, Rule, ScoreRule
from msseg.runner.hooks.hook import Hook
from msseg.utils.arguments import Name, NonNegative, PositiveInt, checked
from msseg.utils.errors import UserKeyError, expected_one_of

if TYPE_CHECKING:
    from msseg.runner.runner import Runner


@HOOKS.register_module()
class EarlyStoppingHook(Hook):
    """End the run when a validation score has not improved for some evaluations.

    Args:
        monitor: Key of the score, such as ``mIoU``, or ``loss`` with ``evaluation.loss=True``.
        patience: The run ends after this number of evaluations in a row without improvement.
        min_delta: A score must beat the best one by more than this to count as an improvement.
        rule: Which score is better, see `ScoreRule`.

    >>> EarlyStoppingHook(monitor='mIoU', patience=3).state()
    {'monitor': 'mIoU', 'best': None, 'num_without_gain': 0}
    """

    @checked
    def __init__(
        self,
        monitor: Name = 'mIoU',
        patience: PositiveInt = 5,
        min_delta: NonNegative = 0.0,
        rule: Rule = None,
    ) -> None:
        self.rule = ScoreRule(monitor, rule)
        self.monitor = monitor
        self.patience = patience
        self.min_delta = min_delta
        self.best: float | None = None
        self.num_without_gain = 0

    def state(self) -> dict:
        """Return the best score and the number of evaluations that did not beat it."""
        return {
            'monitor': self.monitor,
            'best': self.best,
            'num_without_gain': self.num_without_gain,
        }

    def load_state(self, state: dict) -> None:
        """Restore the count, unless another score was monitored."""
        if state['monitor'] == self.monitor:
            self.best, self.num_without_gain = state['best'], state['num_without_gain']

    def before_run(self, runner: Runner) -> None:
        """Check that the score is reported; end a resumed run whose patience had run out."""
        evaluations = [hook for hook in runner.hooks if isinstance(hook, EvalHook)]
        reported = [key for hook in evaluations for key in hook.reported]
        if not reported:
            raise ValueError(
                'EarlyStoppingHook: this run evaluates nothing; remove the hook, or --no-validate'
            )
        if self.monitor not in reported:
            who = type(self).__name__
            raise expected_one_of('monitor', self.monitor, reported, UserKeyError, who=who)
        self._stop_without_patience(runner)

    def after_evaluation(self, runner: Runner) -> None:
        """Compare the score, and end the run when patience has run out."""
        score = runner.scores[self.monitor]
        if self.rule.is_better(score, self.best, self.min_delta):
            self.best, self.num_without_gain = score, 0
            return
        if math.isnan(score):
            runner.logger.warning('EarlyStoppingHook: the score %s is n/a: no gain', self.monitor)
        self.num_without_gain += 1
        self._stop_without_patience(runner)

    def _stop_without_patience(self, runner: Runner) -> None:
        if self.num_without_gain < self.patience:
            return
        than = '' if self.best is None else f' than {self.best:.4f}'
        runner.stop(
            f'{self.monitor} has not become better{than} in the last {self.num_without_gain} '
            'evaluations'
        )
