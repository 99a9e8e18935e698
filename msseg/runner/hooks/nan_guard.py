"""The hook that watches for a loss or a gradient that is not finite, and reports the batch."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from msseg.runner.builder import HOOKS
from msseg.runner.hooks.hook import Hook
from msseg.utils.arguments import PositiveInt, checked
from msseg.utils.atomic import atomic_write_text
from msseg.utils.layer_traits import running_statistics

if TYPE_CHECKING:
    from msseg.runner.runner import Runner


_MOST_UNCHECKED = 100  # where nothing is logged


@dataclass
class _Step:
    iteration: int  # from 1
    batch: Any  # img, gt, indices, filenames
    values: dict[str, Any]  # what the step returned by name: tensors, and numbers once checked
    lrs: list[float]


class _Copies(nn.Cell):
    """Copies of parameters on the device."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        super().__init__(auto_prefix=False)
        self.originals = ms.ParameterTuple(parameters)
        self.copies = ms.ParameterTuple(
            Parameter(Tensor(p.asnumpy().copy()), f'kept.{p.name}', requires_grad=False)
            for p in parameters
        )
        self.map = ops.HyperMap()

    def construct(self, restores: bool) -> bool:
        """Set the copies to the parameters, or the other way round."""
        if restores:
            self.map(_assign, self.originals, self.copies)
        else:
            self.map(_assign, self.copies, self.originals)
        return restores


def _assign(target: Parameter, source: Parameter) -> Tensor:
    return ops.assign(target, source)


@HOOKS.register_module()
class NaNGuardHook(Hook):
    """Check that loss and gradient norm are finite, and report a step where they are not.

    The files of the batch, the labels in each, the range of each image, every loss, the gradient
    norm, the learning rate and the loss scale are logged and written to ``nonfinite_iter_N.json``
    in the work dir. Then the run ends, or continues without that step's update.

    A gradient that overflows under a loss scale while the loss is finite is normal: the scale is
    adjusted, and the step is counted and logged.

    Every run has this hook; one in ``custom_hooks`` replaces it.

    Args:
        interval: Iterations between checks, each of all steps since the one before. By default only
            log lines, evaluations and checkpoints come after a check of all steps, so that the
            device never waits between them; with ``policy='skip'`` each step is checked at once.
        policy: ``'stop'`` ends the run; ``'skip'`` continues, with weights, optimizer and running
            statistics as they were before the step.
        max_consecutive: Number of updates in a row that may be skipped, by `policy` or by an
            overflow; one more ends the run.

    >>> hook = NaNGuardHook(policy='skip', max_consecutive=20)
    """

    @checked
    def __init__(
        self,
        interval: PositiveInt | None = None,
        policy: Literal['stop', 'skip'] = 'stop',
        max_consecutive: PositiveInt = 20,
    ) -> None:
        if policy == 'skip' and interval not in (None, 1):
            raise ValueError(
                f"NaNGuardHook: interval is {interval!r}, expected 1 with policy='skip', which "
                'must see every step'
            )
        self.interval = 1 if policy == 'skip' else interval
        self.policy = policy
        self.max_consecutive = max_consecutive
        self.consecutive = 0  # skipped updates in a row
        self.num_skipped = 0
        self._unchecked: list[_Step] = []
        self._group_is_bad = False
        self._statistics: _Copies | None = None

    def state(self) -> dict:
        """Return the counts, unless they are 0."""
        counts = {'consecutive': self.consecutive, 'num_skipped': self.num_skipped}
        return counts if any(counts.values()) else {}

    def load_state(self, state: dict) -> None:
        """Restore the counts."""
        self.consecutive, self.num_skipped = state['consecutive'], state['num_skipped']

    def before_run(self, runner: Runner) -> None:
        """Check that the training step can skip an update if the policy asks for it."""
        if self.policy != 'skip':
            return
        if 'skipped' not in runner.train_step.value_names:
            raise ValueError(
                "NaNGuardHook: policy='skip' needs a step that leaves updates out: build it with "
                'TrainStep(…, skip_nonfinite=True), as msseg train does'
            )
        statistics = running_statistics(runner.model)
        self._statistics = _Copies(statistics) if statistics else None

    def after_train_iter(self, runner: Runner) -> None:
        """Remember the step; check those that are due."""
        outputs, batch = dict(runner.outputs), runner.data_batch
        if self.interval != 1 and hasattr(runner.loader, 'load'):
            batch = batch._replace(img=None, gt=None)  # `load` gives them again
        self._unchecked.append(_Step(runner.iter, batch, outputs, runner.lrs))
        every = _MOST_UNCHECKED if self.interval is None else self.interval
        if self.every_n_iters(runner, every) or self.is_last_iter(runner) or runner.is_logging():
            self.check(runner)
        if self._statistics is not None:
            self._statistics(restores=False)

    def before_save(self, runner: Runner) -> None:
        """Check, so that no checkpoint holds values that are not finite."""
        self.check(runner)

    @contextmanager
    def for_evaluation(self, runner: Runner) -> Iterator[None]:
        """Check, so that only a healthy model is evaluated."""
        self.check(runner)
        yield

    def check(self, runner: Runner) -> None:
        """Check all steps since the last check; FloatingPointError ends the run."""
        steps, self._unchecked = self._unchecked, []
        for step in steps:
            step.values = {name: float(value.asnumpy()) for name, value in step.values.items()}
            self._check_step(runner, step)

    def _check_step(self, runner: Runner, step: _Step) -> None:
        values = step.values
        num_batches = runner.train_step.cumulative_iters
        is_update = step.iteration % num_batches == 0 or step.iteration == runner.max_iters
        loss_is_bad = not math.isfinite(values['loss'])
        # Where an overflow gives the largest number (Ascend 910A) the norm is finite.
        norm_is_bad = not math.isfinite(values['grad_norm']) or bool(values.get('skipped'))
        overflows = norm_is_bad and not loss_is_bad and 'loss_scale' in values
        if values.get('skipped'):
            self.consecutive += 1
            self.num_skipped += 1
        elif is_update and not norm_is_bad:
            self.consecutive = 0
        if loss_is_bad:
            self._report(runner, step, 'loss')
        # Accumulated gradients stay bad until the update: one report names the culprit.
        elif norm_is_bad and not overflows and not self._group_is_bad:
            self._report(runner, step, 'grad_norm')
        elif overflows and values['skipped'] and not self._group_is_bad:
            self._note_overflow(runner, step)
        was_bad = self._group_is_bad or loss_is_bad or (norm_is_bad and not overflows)
        self._group_is_bad = was_bad and not is_update

    def _note_overflow(self, runner: Runner, step: _Step) -> None:
        message = (
            f'gradients overflow with loss scale {step.values["loss_scale"]:g} in iteration '
            f'{step.iteration}'
        )
        if self.consecutive > self.max_consecutive:
            raise FloatingPointError(
                f'{self._too_many()}: {message}, see {self._write(runner, step)}. Use '
                "loss_scale='dynamic' or a smaller one, or raise NaNGuardHook's max_consecutive."
            )
        counts = (self.num_skipped, self.consecutive)
        runner.logger.info('%s: the update is left out, %d so far, %d in a row', message, *counts)

    def _report(self, runner: Runner, step: _Step, culprit: str) -> None:
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

    def _write(self, runner: Runner, step: _Step) -> str:
        """Log the report and write it; return its file's path."""
        meta = runner.meta
        if step.batch.img is None:
            img, gt = runner.loader.load(step.iteration - 1)
            step.batch = step.batch._replace(img=img, gt=gt)
        report = _make_report(step, meta.get('CLASSES') or (), meta.get('ignore_index'))
        report = {'policy': self.policy, 'rank': runner.rank, **report}
        suffix = f'_rank_{runner.rank}' if runner.rank else ''
        path = runner.work_dir / f'nonfinite_iter_{step.iteration}{suffix}.json'
        text = _format_report(report)
        runner.logger.warning('iteration %d is not finite:\n%s', step.iteration, text)
        try:
            atomic_write_text(path, json.dumps(report, indent=2) + '\n')
        except OSError as error:  # the report itself is in the log
            runner.logger.warning('%s cannot be written: %s', path, error)
        return str(path)

    def _too_many(self) -> str:
        return f'{self.consecutive} updates in a row were left out'

    def _restore_statistics(self, runner: Runner) -> None:
        """Undo the effect of a skipped step's forward pass on running statistics."""
        if self._statistics is not None:
            self._statistics(restores=True)
        runner.logger.warning(
            'going on without the update: %d left out so far, %d in a row',
            self.num_skipped,
            self.consecutive,
        )


def _make_report(step: _Step, classes: Sequence[str], ignore_index: int | None) -> dict:
    """Return everything about a step as JSON values; numbers that are not finite are strings."""
    batch = step.batch
    losses: dict[str, Any] = {k: v if math.isfinite(v) else str(v) for k, v in step.values.items()}
    return {
        'iter': step.iteration,
        'lr': step.lrs,
        'grad_norm': losses.pop('grad_norm', None),
        'loss_scale': losses.pop('loss_scale', None),
        'update_skipped': bool(losses.pop('skipped', 0.0)),
        'losses': losses,
        'samples': [
            {
                'file': str(file),
                'index': int(index),
                'image': describe_image(img),
                'labels': count_labels(gt, classes, ignore_index),
            }
            for file, index, img, gt in zip(
                batch.filenames, batch.indices, batch.img, batch.gt, strict=True
            )
        ],
    }


def describe_image(img: np.ndarray) -> dict:
    """Return the range of a prepared image over its finite values, and the number of others."""
    finite = img[np.isfinite(img)]
    is_empty = finite.size == 0
    return {
        'min': None if is_empty else float(finite.min()),
        'max': None if is_empty else float(finite.max()),
        'mean': None if is_empty else float(finite.mean(dtype=np.float64)),
        'num_nonfinite': int(img.size - finite.size),
    }


def count_labels(gt: np.ndarray, classes: Sequence[str], ignore_index: int | None) -> dict:
    """Return the number of pixels of every class that occurs, by name.

    `ignore_index` counts as ``(ignored)``, another value beyond `classes` as ``(no class: VALUE)``.
    """
    counts: dict[str, int] = {}
    for value, count in zip(*np.unique(gt, return_counts=True), strict=True):
        if value == ignore_index:
            name = '(ignored)'
        elif 0 <= value < len(classes) and value == int(value):
            name = classes[int(value)]
        else:
            name = f'(no class: {value})'
        counts[name] = counts.get(name, 0) + int(count)
    return counts


def _format_report(report: dict) -> str:
    head = {'lr': max(report['lr']), 'grad_norm': report['grad_norm']}
    if report['loss_scale'] is not None:
        head['loss_scale'] = report['loss_scale']
    lines = [', '.join(f'{name} {_short(v)}' for name, v in {**head, **report['losses']}.items())]
    for sample in report['samples']:
        image, labels = sample['image'], sample['labels']
        broken = f', {image["num_nonfinite"]} NOT FINITE' if image['num_nonfinite'] else ''
        total = sum(labels.values())
        shares = ', '.join(f'{name} {100 * n / total:.2f} %' for name, n in labels.items())
        lines.append(
            f'{sample["file"]}: image {_short(image["min"])} to {_short(image["max"])}, mean '
            f'{_short(image["mean"])}{broken}; labels: {shares}'
        )
    return '\n'.join(f'  {line}' for line in lines)


def _short(value: float | str | None) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)
