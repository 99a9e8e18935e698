"""Ending a run whose scores no longer rise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msseg.runner.builder import HOOKS
from msseg.runner.hooks.evaluation import EvalHook
from msseg.runner.hooks.hook import Hook
from msseg.runner.score_rule import Rule, ScoreRule
from msseg.utils.arguments import Name, NonNegative, PositiveInt, checked
from msseg.utils.suggest import did_you_mean

if TYPE_CHECKING:
    from msseg.runner.runner import Runner


@HOOKS.register_module()
class EarlyStoppingHook(Hook):
    """Ends the run when a score of the validation has not become better for some evaluations.

    Args:
        monitor: Key of the score, such as ``mIoU``, or ``loss`` with ``evaluation.loss=True``.
        patience: How many evaluations in a row may bring nothing better; the run ends after the
            last of them.
        min_delta: By how much a score must beat the best one to count as better.
        rule: ``greater`` or ``less`` is better; by default less for keys with "loss".

    Raises:
        ValueError: Arguments out of range.
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
        """Return the best score and how many evaluations did not beat it."""
        counts = {'best': self.best, 'num_without_gain': self.num_without_gain}
        return {'monitor': self.monitor, **counts}

    def load_state(self, state: dict) -> None:
        """Go on counting, unless another score was monitored."""
        if state['monitor'] == self.monitor:
            self.best, self.num_without_gain = state['best'], state['num_without_gain']

    def before_run(self, runner: Runner) -> None:
        """Make sure that the score will be known; end a run at once that had ended so before.

        Raises:
            KeyError: It is not reported.
            ValueError: Nothing is evaluated.
        """
        evaluations = [hook for hook in runner.hooks if isinstance(hook, EvalHook)]
        reported = [key for hook in evaluations for key in hook.reported]
        if not reported:
            raise ValueError(
                'EarlyStoppingHook: this run evaluates nothing; remove the hook, or --no-validate'
            )
        if self.monitor not in reported:
            raise KeyError(
                f'EarlyStoppingHook: monitor is {self.monitor!r}, which is not reported; expected '
                f'one of {reported}.{did_you_mean(self.monitor, reported)}'
            )
        self._stop_without_patience(runner)

    def after_evaluation(self, runner: Runner) -> None:
        """Compare, count, and end the run when patience has run out."""
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
