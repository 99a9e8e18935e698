"""What happens when the loss or a gradient is no longer a number."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from mindspore import Parameter, Tensor

from msseg.runner.builder import HOOKS
from msseg.runner.hooks.hook import Hook
from msseg.runner.nonfinite_report import NonfiniteStep, format_report
from msseg.utils.arguments import PositiveInt, checked
from msseg.utils.atomic import atomic_write_text

if TYPE_CHECKING:
    from msseg.runner.runner import Runner

_STATISTICS = ('moving_mean', 'moving_variance')


@HOOKS.register_module()
class NaNGuardHook(Hook):
    """Looks at loss and gradient norm, and tells what it knows of a step where they are not finite.

    The files of the batch, the labels in each, the range of each image, every loss, the gradient
    norm, the learning rate and the loss scale are logged and written to ``nonfinite_iter_N.json``
    in the work dir. Then the run ends, or goes on without that step's update.

    A gradient that overflows under a loss scale while the loss is finite is what the scale is
    adjusted by: it is counted and logged, no more.

    Every run has this hook; one in ``custom_hooks`` stands in its place.

    Args:
        interval: Iterations between looks. Each look covers all steps since the one before, and
            whatever is saved has been looked at first.
        policy: ``'stop'`` ends the run; ``'skip'`` goes on, weights, optimizer and running
            statistics as they were before the step.
        max_consecutive: How many updates in a row may be left out, by `policy` or by an overflow;
            one more ends the run.

    Raises:
        ValueError: Arguments out of range.
    """

    @checked
    def __init__(
        self,
        interval: PositiveInt = 1,
        policy: Literal['stop', 'skip'] = 'stop',
        max_consecutive: PositiveInt = 20,
    ) -> None:
        if policy == 'skip' and interval != 1:
            raise ValueError(
                f"NaNGuardHook: interval is {interval!r}, expected 1 with policy='skip', which "
                'must see every step'
            )
        self.interval = interval
        self.policy = policy
        self.max_consecutive = max_consecutive
        self.consecutive = 0  # updates left out in a row
        self.num_skipped = 0
        self._unseen: list[tuple[int, Any, dict[str, Tensor], list[float]]] = []
        self._group_is_bad = False
        self._statistics: dict[str, tuple[Parameter, np.ndarray]] = {}

    def state(self) -> dict:
        """Return the counts, once there is something to count."""
        counts = {'consecutive': self.consecutive, 'num_skipped': self.num_skipped}
        return counts if any(counts.values()) else {}

    def load_state(self, state: dict) -> None:
        """Take over the counts."""
        self.consecutive, self.num_skipped = state['consecutive'], state['num_skipped']

    def before_run(self, runner: Runner) -> None:
        """Make sure that the step can leave an update out when the policy says so.

        Raises:
            ValueError: It cannot.
        """
        if self.policy != 'skip':
            return
        if 'skipped' not in runner.train_step.value_names:
            raise ValueError(
                "NaNGuardHook: policy='skip' needs a step that leaves updates out: build it with "
                'TrainStep(…, skip_nonfinite=True), as tools/train.py does'
            )
        self._keep_statistics(runner)

    def after_train_iter(self, runner: Runner) -> None:
        """Remember the step; look when it is time."""
        self._unseen.append(
            (runner.iter, runner.data_batch, dict(runner.outputs), runner.current_lr())
        )
        if self.every_n_iters(runner, self.interval) or self.is_last_iter(runner):
            self.look(runner)
        if self.policy == 'skip':
            self._keep_statistics(runner)

    def before_save(self, runner: Runner) -> None:
        """Look, so that no checkpoint holds what is not a number."""
        self.look(runner)

    def look(self, runner: Runner) -> None:
        """Check all steps since the last look.

        Raises:
            FloatingPointError: One of them ends the run.
        """
        unseen, self._unseen = self._unseen, []
        for iteration, batch, outputs, lrs in unseen:
            values = {name: float(value.asnumpy()) for name, value in outputs.items()}
            self._check(runner, NonfiniteStep(iteration, batch, values, lrs))

    def _check(self, runner: Runner, step: NonfiniteStep) -> None:
        values = step.values
        is_update = step.iteration % runner.train_step.cumulative_iters == 0
        loss_is_bad = not math.isfinite(values['loss'])
        norm_is_bad = not math.isfinite(values['grad_norm'])
        overflows = norm_is_bad and not loss_is_bad and 'loss_scale' in values
        if values.get('skipped'):
            self.consecutive += 1
            self.num_skipped += 1
        elif is_update and not norm_is_bad:
            self.consecutive = 0
        if loss_is_bad:
            self._report(runner, step, 'loss')
        # Accumulated gradients stay bad until their group has ended: one report names the culprit.
        elif norm_is_bad and not overflows and not self._group_is_bad:
            self._report(runner, step, 'grad_norm')
        elif overflows and values['skipped'] and not self._group_is_bad:
            self._note_overflow(runner, step)
        was_bad = self._group_is_bad or loss_is_bad or (norm_is_bad and not overflows)
        self._group_is_bad = was_bad and not is_update

    def _note_overflow(self, runner: Runner, step: NonfiniteStep) -> None:
        message = (
            f'gradients overflow with loss scale {step.values["loss_scale"]:g} in iteration '
            f'{step.iteration}'
        )
        if self.consecutive > self.max_consecutive:
            raise FloatingPointError(
                f'{self._too_many()}: {message}, see {self._write(runner, step)}. Use '
                "loss_scale='dynamic' or a smaller one, or raise NaNGuardHook's max_consecutive."
            )
        runner.logger.info(
            '%s: the update is left out, %d so far, %d in a row',
            message,
            self.num_skipped,
            self.consecutive,
        )

    def _report(self, runner: Runner, step: NonfiniteStep, culprit: str) -> None:
        what = 'the loss' if culprit == 'loss' else 'the gradient norm'
        if runner.world_size > 1:
            what = f'{what} over all devices'
        files = ', '.join(str(name) for name in step.batch.filenames)
        message = (
            f'{what} is {step.values[culprit]} in iteration {step.iteration} (learning rate '
            f'{max(step.lrs):.3g}). The batch was {files}. Lower the learning rate, add warm-up or '
            'grad_clip, and look at these files; the last checkpoint is kept. Details are in '
            f'{self._write(runner, step)}.'
        )
        if self.policy == 'stop':
            raise FloatingPointError(message)
        if self.consecutive > self.max_consecutive:
            raise FloatingPointError(f'{self._too_many()}: {message}')
        self._restore_statistics(runner)

    def _write(self, runner: Runner, step: NonfiniteStep) -> str:
        """Log the report and write it; return its file's path."""
        meta = runner.meta
        report = step.report(meta.get('CLASSES') or (), meta.get('ignore_index'))
        report = {'policy': self.policy, 'rank': runner.rank, **report}
        suffix = f'_rank_{runner.rank}' if runner.rank else ''
        path = runner.work_dir / f'nonfinite_iter_{step.iteration}{suffix}.json'
        runner.logger.warning(
            'iteration %d is not finite:\n%s', step.iteration, format_report(report)
        )
        try:
            atomic_write_text(path, json.dumps(report, indent=2) + '\n')
        except OSError as error:  # the report itself is in the log
            runner.logger.warning('%s cannot be written: %s', path, error)
        return str(path)

    def _too_many(self) -> str:
        return f'{self.consecutive} updates in a row were left out'

    def _keep_statistics(self, runner: Runner) -> None:
        self._statistics = {
            p.name: (p, p.asnumpy().copy())
            for p in runner.model.get_parameters()
            if p.name.endswith(_STATISTICS)
        }

    def _restore_statistics(self, runner: Runner) -> None:
        """Undo what the forward pass of a step that was left out did to batch norms."""
        for parameter, kept in self._statistics.values():
            parameter.set_data(Tensor(kept.copy()))
        runner.logger.warning(
            'going on without the update: %d left out so far, %d in a row',
            self.num_skipped,
            self.consecutive,
        )
