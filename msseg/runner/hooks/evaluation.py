"""Evaluation during training, and keeping the best checkpoint."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from msseg.runner.builder import HOOKS
from msseg.runner.hooks.hook import Hook
from msseg.utils.arguments import Name, NonNegativeInt, PositiveInt, checked
from msseg.utils.errors import UserKeyError, expected_one_of

if TYPE_CHECKING:
    from msseg.runner.runner import Runner

# A mean over classes, also that of one of several data sets: mIoU, 0_mIoU
_MEAN = re.compile(r'(\d+_)?m[A-Z]')
# Windows and network drives accept fewer characters than Linux does.
_NOT_IN_FILE_NAMES = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
_MAX_BYTES = 150

Rule = Literal['greater', 'less'] | None


@dataclass(frozen=True)
class ScoreRule:
    """Compare the scores of one key.

    Args:
        key: The key, such as ``mIoU`` or ``loss``.
        rule: Which score is better, ``greater`` or ``less``; None: less for keys with "loss", else
            greater.

    >>> ScoreRule('mIoU').is_better(0.75, best=0.7)
    True
    """

    key: str
    rule: Rule = None

    def is_better(self, score: float, best: float | None, min_delta: float = 0.0) -> bool:
        """Whether a score beats the best so far (None: none yet) by more than `min_delta`.

        NaN beats nothing.
        """
        if math.isnan(score) or best is None:
            return not math.isnan(score)
        is_less = self.rule == 'less' or (self.rule is None and 'loss' in self.key.lower())
        return (best - score if is_less else score - best) > min_delta


@HOOKS.register_module()
class EvalHook(Hook):
    """Evaluate at intervals, log the scores and keep the best checkpoint.

    Args:
        evaluate: Evaluates the model and returns the scores by key, or None when the evaluation was
            interrupted because the run is to end.
        reported: The keys that `evaluate` returns.
        interval: Iterations or epochs between evaluations.
        start: First iteration or epoch to evaluate after; None is the first multiple of `interval`.
        by_epoch: Whether `interval` and `start` count epochs.
        save_best: Key whose best checkpoint to keep, such as ``mIoU`` or ``IoU.nucleus``;
            ``auto`` is the first reported mean over classes; None keeps none. In the file's name
            ``_`` replaces characters that a file name cannot hold.
        rule: Which score is better, see `ScoreRule`.
        coverage: Describes the classes that a key's score excludes, empty for none; the message on
            a best checkpoint includes it.

    Source: MMCV 1.7 and MMSegmentation 0.30 ``EvalHook``.

    >>> hook = EvalHook(lambda: {'mIoU': 0.5}, reported=['aAcc', 'mIoU'], save_best='auto')
    >>> hook.save_best
    'mIoU'
    """

    @checked
    def __init__(
        self,
        evaluate: Callable[[], dict[str, float] | None],
        reported: Sequence[str],
        interval: PositiveInt = 1,
        start: NonNegativeInt | None = None,
        by_epoch: bool = True,
        save_best: Name | None = None,
        rule: Rule = None,
        coverage: Callable[[str], str] = lambda key: '',
    ) -> None:
        if save_best == 'auto':
            save_best = next((key for key in reported if _MEAN.match(key)), reported[0])
        if save_best is not None and save_best not in reported:
            raise expected_one_of('evaluation.save_best', save_best, reported, UserKeyError)
        self.evaluate = evaluate
        self.is_due = False  # an evaluation was interrupted
        self.interval = interval
        self.start = start or 0
        self.by_epoch = by_epoch
        self.save_best = save_best
        self.reported = list(reported)
        self.rule = ScoreRule(save_best or '', rule)
        self.coverage = coverage

    def state(self) -> dict:
        """Return whether an evaluation was interrupted, to be repeated when the run resumes."""
        return {'is_due': True} if self.is_due else {}

    def load_state(self, state: dict) -> None:
        self.is_due = state['is_due']

    def before_run(self, runner: Runner) -> None:
        """Repeat an evaluation that was interrupted."""
        if self.is_due:
            self._evaluate(runner)

    def after_train_iter(self, runner: Runner) -> None:
        """Evaluate when it is time."""
        if self.by_epoch and runner.inner_iter != 0:
            return
        completed = runner.epoch if self.by_epoch else runner.iter
        if completed < self.start or (completed - self.start) % self.interval != 0:
            return
        self._evaluate(runner)

    def _evaluate(self, runner: Runner) -> None:
        with runner.for_evaluation():
            scores = self.evaluate()
        self.is_due = scores is None
        if self.is_due:
            return
        runner.scores = scores
        runner.log('val', scores)
        runner.call_hook('after_evaluation')
        if self.save_best is not None:
            self._keep_best(runner, scores[self.save_best])

    def _keep_best(self, runner: Runner, score: float) -> None:
        key = self.save_best
        if math.isnan(score):
            runner.logger.warning(
                'no best checkpoint is saved: the score %s of evaluation.save_best is n/a', key
            )
        previous = runner.best_scores.get(key)
        if not self.rule.is_better(score, previous[0] if previous else None):
            return
        unit, number = ('epoch', runner.epoch) if self.by_epoch else ('iter', runner.iter)
        path = runner.work_dir / f'best_{_as_file_name(key)}_{unit}_{number}.ckpt'
        runner.best_scores[key] = (score, path.name)
        if runner.rank != 0:
            return
        if not runner.try_save(path):
            runner.best_scores.pop(key)
            if previous:
                runner.best_scores[key] = previous
            return
        if coverage := self.coverage(key):  # a score of some classes only is not called the best
            runner.logger.info('saved %s: %s %.4f %s', path, key, score, coverage)
        else:
            runner.logger.info('saved %s, the best so far: %s %.4f', path, key, score)
        if previous and previous[1] != path.name:
            try:
                (runner.work_dir / previous[1]).unlink(missing_ok=True)
            except OSError as error:
                runner.logger.error('%s; training goes on', error)


def _as_file_name(key: str) -> str:
    """Return a score's key as part of a file name, at most 150 bytes of UTF-8."""
    name = _NOT_IN_FILE_NAMES.sub('_', key).encode()[:_MAX_BYTES].decode(errors='ignore')
    return name.strip(' .')
