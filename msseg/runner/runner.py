"""The training loop, which calls hooks."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from mindspore import Parameter, Tensor, nn

from msseg.registry import build_from_cfg
from msseg.runner.builder import HOOKS, RUNNERS
from msseg.runner.checkpoint import (
    TRAIN_STEP,
    load_checkpoint,
    load_state,
    optimizer_state,
    save_checkpoint,
)
from msseg.runner.hooks.hook import Hook, priority_number
from msseg.runner.hooks.logger import LoggerHook
from msseg.runner.load_weights import load_weights
from msseg.runner.optimizer import get_lr
from msseg.runner.train_step import TrainStep
from msseg.utils.arguments import PositiveInt, checked
from msseg.utils.dist import get_rank, get_world_size
from msseg.utils.rank_status import note, note_together
from msseg.utils.stop_signals import LeftLoading
from msseg.utils.user_code import RUN_ERRORS, describe_failure, running


class Loader(Protocol):
    """A source of training batches."""

    iters_per_epoch: int
    global_batch: int

    def batches(self, start_iter: int = 0) -> Any:
        """Iterate endlessly over batches (img, gt, indices, filenames), from an iteration on."""


class Runner:
    """Train until `max_iters`, calling hooks around run, epochs and iterations.

    Both runners count iterations; they differ in how the length is given and in the unit of options
    without ``by_epoch``.

    Attributes:
        by_epoch: Whether options count epochs by default.
        iter: Completed iterations.
        epoch: Completed epochs.
        model: The segmentor.
        optimizer: Its optimizer.
        lrs: Learning rate of every parameter group in the current iteration, as scheduled.
        data_batch: The batch of the current iteration.
        outputs: Name to scalar tensor, the outputs of the last step.
        iter_values: Name to scalar, the values to log of the current iteration; hooks may add some.
        iter_start_s: Clock (``time.perf_counter``) at the start of the current iteration.
        meta: Further values for checkpoints; plain JSON values.
        scores: Key to score, of the last evaluation.
        best_scores: Key to (score, checkpoint file name), filled by `EvalHook`.
        pictures: Name to picture, RGB uint8 (h, w, 3), of some images of the last evaluation.
        settings: The config's values by dotted key, without secrets, for loggers.
        stop_reason: The reason to end the run early, or None.

    Args:
        train_step: The step to repeat.
        model: The segmentor inside the step.
        loader: Source of batches.
        work_dir: Folder for logs and checkpoints; must exist.
        logger: Where to log.
        meta: See above.
        max_iters: Total iterations; either this or `max_epochs`.
        max_epochs: Total epochs.
    """

    by_epoch: bool

    @checked
    def __init__(
        self,
        train_step: TrainStep,
        model: nn.Cell,
        loader: Loader,
        work_dir: str | Path,
        logger: logging.Logger,
        meta: dict | None = None,
        max_iters: PositiveInt | None = None,
        max_epochs: PositiveInt | None = None,
    ) -> None:
        if (max_iters is None) == (max_epochs is None):
            raise ValueError('exactly one of max_iters and max_epochs must be given')
        self.train_step = train_step
        self.model = model
        self.optimizer = train_step.optimizer
        self.lrs: list[float] = []
        self.loader = loader
        self.work_dir = Path(work_dir)
        self.logger = logger
        self.meta = dict(meta or {})
        self.iters_per_epoch = loader.iters_per_epoch
        self.max_iters = max_iters or max_epochs * self.iters_per_epoch
        self.max_epochs = max_epochs or -(-max_iters // self.iters_per_epoch)
        self.rank, self.world_size = get_rank(), get_world_size()
        self.timestamp = time.strftime('%Y%m%d_%H%M%S', time.localtime())
        self.iter = 0
        self.data_batch: Any = None
        self.outputs: dict[str, Tensor] = {}
        self.iter_values: dict[str, float | Tensor] = {}
        self.iter_start_s = 0.0
        self.scores: dict[str, float] = {}
        self.best_scores: dict[str, tuple[float, str]] = {}
        self.pictures: Mapping[str, np.ndarray] = {}
        self.settings: Mapping[str, Any] = {}
        self.stop_reason: str | None = None
        self._hooks: list[tuple[int, Hook]] = []

    @property
    def epoch(self) -> int:
        """Completed epochs."""
        return self.iter // self.iters_per_epoch

    @property
    def inner_iter(self) -> int:
        """Completed iterations of the current epoch."""
        return self.iter % self.iters_per_epoch

    @property
    def hooks(self) -> list[Hook]:
        """The hooks in the order they are called."""
        return [hook for _, hook in self._hooks]

    def register_hook(
        self, hook: Hook | dict, priority: int | str = 'NORMAL', **default_args: Any
    ) -> None:
        """Add a hook.

        Args:
            hook: A hook, or its config, whose ``priority`` overrides the argument.
            priority: Order among the hooks: 0 (first) to 100, or a name.
            **default_args: Arguments that a config does not give.
        """
        if isinstance(hook, dict):
            hook = hook.copy()
            priority = hook.pop('priority', priority)
            hook = build_from_cfg(hook, HOOKS, default_args)
        if not isinstance(hook, Hook):
            raise TypeError(f'a hook must be a msseg.runner.hooks.Hook, but got {type(hook)}')
        hook.attach(self)
        for other in self.hooks:
            taken = [name for name in hook.parameters() if name in other.parameters()]
            if taken:
                raise ValueError(
                    f'{type(hook).__name__}: {type(other).__name__} keeps tensors under the same '
                    f'names in checkpoints ({taken[0]!r} is one): use one such hook, not two'
                )
        self._hooks.append((priority_number(priority), hook))
        self._hooks.sort(key=lambda entry: entry[0])

    def _stateful_hooks(self) -> Iterator[tuple[str, Hook]]:
        """Yield the hooks with their unique names in checkpoints."""
        count: Counter[str] = Counter()
        for hook in self.hooks:
            kind = type(hook).__name__
            count[kind] += 1
            yield kind if count[kind] == 1 else f'{kind}#{count[kind]}', hook

    def call_hook(self, point: str) -> None:
        """Call one point of every hook, such as ``before_run``."""
        for hook in self.hooks:
            getattr(hook, point)(self)

    @contextmanager
    def for_evaluation(self) -> Iterator[None]:
        """Prepare the model for an evaluation, for instance with averaged weights."""
        with ExitStack() as stack:
            for hook in self.hooks:
                stack.enter_context(hook.for_evaluation(self))
            yield

    def log(self, mode: str, values: dict[str, float]) -> None:
        """Hand values to every logger; `mode` is ``train`` or ``val``."""
        for hook in self._loggers() if self.rank == 0 else ():
            hook.log(self, mode, values)

    def is_logging(self) -> bool:
        """Whether a logger writes a training line after the completed iteration."""
        return any(hook.is_due(self) for hook in self._loggers())

    @property
    def num_pictures(self) -> int:
        """How many images of an evaluation loggers show."""
        return max((hook.num_images for hook in self._loggers()), default=0)

    def _loggers(self) -> list[LoggerHook]:
        return [hook for hook in self.hooks if isinstance(hook, LoggerHook)]

    def stop(self, reason: str) -> None:
        """End the run after the current iteration and the hooks that follow it."""
        self.stop_reason = reason

    def state(self) -> dict:
        """Return the values that a checkpoint stores besides tensors: plain JSON values."""
        progress = {
            'iter': self.iter,
            'epoch': self.epoch,
            'iters_per_epoch': self.iters_per_epoch,
            'best_scores': self.best_scores,
        }
        hooks = {name: hook.state() for name, hook in self._stateful_hooks() if hook.state()}
        return {**self.meta, **progress, 'hooks': hooks}

    def state_parameters(self) -> dict[str, Parameter]:
        """Return the tensors of training besides weights, by name in a checkpoint."""
        state = optimizer_state(self.optimizer)
        for parameter in self.train_step.state_parameters():
            state[TRAIN_STEP + parameter.name] = parameter
        for hook in self.hooks:
            state.update(hook.parameters())
        return state

    def save(self, path: str | Path, meta: dict | None = None, with_state: bool = True) -> None:
        """Write a checkpoint.

        Args:
            path: The file, ending in ``.ckpt``.
            meta: More plain JSON values to store.
            with_state: Save the state that resuming needs, too.
        """
        self.call_hook('before_save')
        state = self.state_parameters() if with_state else {}
        save_checkpoint(path, self.model, state, {**self.state(), **(meta or {})})

    def try_save(self, path: str | Path, meta: dict | None = None, with_state: bool = True) -> bool:
        """Write a checkpoint as `save`, or log why the disk refuses it; return whether it did."""
        try:
            self.save(path, meta, with_state)
        except OSError as error:
            self.logger.error('not saved: %s. Training goes on, older checkpoints are kept', error)
            return False
        return True

    def resume(self, path: str | Path) -> None:
        """Restore a checkpoint: weights, tensors of training, completed iterations, scores.

        A run whose length is given in epochs continues after the same number of completed epochs,
        also when another batch or data set has changed the number of iterations in an epoch.
        """
        checkpoint = load_checkpoint(path)
        if 'iter' not in checkpoint.meta:
            raise ValueError(
                f'checkpoint {str(path)!r} cannot be resumed: it does not say its iteration. '
                'Train on from its weights with --load-from.'
            )
        load_weights(self.model, checkpoint)
        load_state(self.state_parameters(), checkpoint)
        self.iter = self._completed(checkpoint.meta)
        scores = checkpoint.meta.get('best_scores') or {}
        self.best_scores = {key: (score, name) for key, (score, name) in scores.items()}
        states = checkpoint.meta.get('hooks') or {}
        for name, hook in self._stateful_hooks():
            try:
                if name in states:
                    hook.load_state(states[name])
            except (*RUN_ERRORS, KeyError, TypeError, ValueError) as error:
                raise ValueError(
                    f'checkpoint {str(path)!r} cannot be resumed: what it holds for {name} does '
                    f'not fit{describe_failure(error)}'
                ) from error
        self.logger.info('resumed %s at iteration %d', path, self.iter)
        self._report_nothing_left()

    def _completed(self, meta: Mapping[str, Any]) -> int:
        """Return the number of completed iterations of this run after loading a checkpoint."""
        done, epochs = meta['iter'], meta.get('epoch')
        if not self.by_epoch or epochs is None:
            return done
        before = meta.get('iters_per_epoch')  # older checkpoints lack it
        is_same = before == self.iters_per_epoch
        if is_same or (before is None and done // self.iters_per_epoch == epochs):
            return done
        here = epochs * self.iters_per_epoch
        self.logger.warning(
            'iterations per epoch have changed to %d with the batch or the data set: epoch %d, '
            'iteration %d of the checkpoint, is iteration %d here, and training goes on with epoch '
            '%d from its beginning',
            self.iters_per_epoch, epochs, done, here, epochs + 1,
        )  # fmt: skip
        return here

    def _report_nothing_left(self) -> None:
        if self.iter < self.max_iters:
            return
        unit, done, key, total = 'iteration', self.iter, 'max_iters', self.max_iters
        if self.by_epoch:
            unit, done, key, total = 'epoch', self.epoch, 'max_epochs', self.max_epochs
        state = f'{unit} {done} of {total} is done already'
        if done > total:
            state = f'{unit} {done} is done already, and runner.{key} is {total}'
        self.logger.warning('%s: raise runner.%s to train longer', state, key)

    def current_lr(self) -> list[float]:
        """Return the learning rate of every parameter group, read from the device."""
        return get_lr(self.optimizer)

    def run(self) -> None:
        """Train from the current iteration to the last one."""
        self.lrs = self.current_lr()
        self.call_hook('before_run')
        try:
            try:
                self._iterate_to_the_end()
            except LeftLoading as reason:  # nothing of the iteration was done
                self.stop(str(reason))
            if self.stop_reason is not None:
                self.logger.info('stopped after iteration %d: %s', self.iter, self.stop_reason)
        finally:
            self.call_hook('after_run')

    def _iterate_to_the_end(self) -> None:
        batches = self.loader.batches(self.iter)
        while self.iter < self.max_iters and self.stop_reason is None:
            if self.inner_iter == 0:
                self.call_hook('before_train_epoch')
            self._iterate(batches)
            if self.inner_iter == 0:
                self.call_hook('after_train_epoch')

    def _iterate(self, batches: Any) -> None:
        self.iter_start_s = time.perf_counter()
        self.iter_values = {}
        note(f'loading the batch of iteration {self.iter + 1}')
        self.data_batch = next(batches)
        self.call_hook('before_train_iter')
        if not self.model.training:
            # An evaluation shares the model and leaves it in evaluation mode.
            self.train_step.set_train()
        if hasattr(self.model, 'check_image_size'):
            self.model.check_image_size(self.data_batch.img.shape[2:])
        inputs = [Tensor(self.data_batch.img), Tensor(self.data_batch.gt)]
        if self.train_step.cumulative_iters > 1:
            inputs.append(Tensor(self._is_update()))
        note_together(f'computing iteration {self.iter + 1}')
        with running('the training step failed'):
            values = self.train_step(*inputs)
        self.outputs = dict(zip(self.train_step.value_names, values, strict=True))
        self.iter_values.update(self.outputs)
        self.iter += 1
        note(f'doing what follows iteration {self.iter}')
        self.call_hook('after_train_iter')

    def _is_update(self) -> bool:
        """Whether the optimizer's update follows the coming iteration."""
        number = self.iter + 1
        return number % self.train_step.cumulative_iters == 0 or number == self.max_iters


@RUNNERS.register_module()
class IterBasedRunner(Runner):
    """Runner with a length in iterations; options count iterations."""

    by_epoch = False


@RUNNERS.register_module()
class EpochBasedRunner(Runner):
    """Runner with a length in epochs; options count epochs by default."""

    by_epoch = True
