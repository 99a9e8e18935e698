"""Checkpoints at intervals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msseg.runner.builder import HOOKS
from msseg.runner.find_checkpoint import name_last, numbered_checkpoints
from msseg.runner.hooks.hook import Hook
from msseg.utils.arguments import File, PositiveInt, checked
from msseg.utils.atomic import remove_abandoned

if TYPE_CHECKING:
    from msseg.runner.runner import Runner


@HOOKS.register_module()
class CheckpointHook(Hook):
    """Save ``iter_N.ckpt`` or ``epoch_N.ckpt`` after N completed iterations or epochs.

    A checkpoint that cannot be written is logged as an error, and training continues; only for the
    last one the run fails. A run that ends early is saved too, in the middle of an epoch as
    ``iter_N.ckpt``.

    Args:
        interval: Iterations or epochs between checkpoints; -1 saves only the last.
        by_epoch: Whether `interval` counts epochs.
        save_optimizer: Save optimizer and other state too; without it a run cannot be resumed.
        out_dir: Folder for the files; the work dir by default.
        max_keep_ckpts: Number of checkpoints to keep; -1 keeps all. The oldest is removed when a
            newer one is on disk.
        save_last: Save after the last iteration, too.
        meta: More plain JSON values to store.

    Source: MMCV 1.7 ``CheckpointHook``.

    >>> hook = CheckpointHook(interval=4000, by_epoch=False, max_keep_ckpts=3)
    """

    @checked
    def __init__(
        self,
        interval: PositiveInt | Literal[-1] = -1,
        by_epoch: bool = True,
        save_optimizer: bool = True,
        out_dir: File | None = None,
        max_keep_ckpts: PositiveInt | Literal[-1] = -1,
        save_last: bool = True,
        meta: Mapping | None = None,
    ) -> None:
        self.interval = interval
        self.by_epoch = by_epoch
        self.save_optimizer = save_optimizer
        self.out_dir = out_dir
        self.max_keep_ckpts = max_keep_ckpts
        self.save_last = save_last
        self.meta = meta or {}

    def before_run(self, runner: Runner) -> None:
        """Make the folder; remove the unfinished files of killed processes."""
        self.folder = Path(self.out_dir) if self.out_dir else runner.work_dir
        self.last_saved_iter = runner.iter
        if runner.rank == 0:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OSError(
                    f'checkpoint_config.out_dir {str(self.folder)!r} cannot be made '
                    f'({error.strerror}): choose another'
                ) from error
            for path in remove_abandoned(self.folder):
                runner.logger.info('removed %s, which a process left that was killed', path)

    def after_train_iter(self, runner: Runner) -> None:
        """Save at the interval, and when the run ends."""
        if runner.rank != 0:
            return
        is_due = self._is_due(runner)
        is_last = self.is_last_iter(runner) and (is_due or self.save_last)
        if is_last or runner.stop_reason is not None:
            self._save_last(runner)
        elif is_due:
            path = self._path(runner)
            if runner.try_save(path, self.meta, self.save_optimizer):
                self._keep(runner, path)

    def after_run(self, runner: Runner) -> None:
        """Save a run that was stopped while it loaded the next batch."""
        is_stopped = runner.stop_reason is not None and runner.iter != self.last_saved_iter
        if runner.rank == 0 and is_stopped:
            self._save_last(runner)

    def _is_due(self, runner: Runner) -> bool:
        if self.by_epoch:
            return runner.inner_iter == 0 and self.every_n_epochs(runner, self.interval)
        return self.every_n_iters(runner, self.interval)

    def _save_last(self, runner: Runner) -> None:
        path = self._path(runner)
        self.last_saved_iter = runner.iter  # also when it fails
        try:
            runner.save(path, self.meta, self.save_optimizer)
        except OSError as error:
            raise OSError(
                f'the last checkpoint was not saved: {error}. Those before it are kept: make room '
                'and go on from the newest with --auto-resume'
            ) from error
        self._keep(runner, path)

    def _path(self, runner: Runner) -> Path:
        if self.by_epoch and runner.inner_iter == 0:
            return self.folder / f'epoch_{runner.epoch}.ckpt'
        return self.folder / f'iter_{runner.iter}.ckpt'

    def _keep(self, runner: Runner, path: Path) -> None:
        """Name a saved checkpoint as the newest, and remove the oldest ones."""
        self.last_saved_iter = runner.iter
        runner.logger.info('saved %s', path)
        try:
            name_last(path)
            for old in self._surplus(runner, path):
                old.unlink(missing_ok=True)
        except OSError as error:
            runner.logger.error('%s; training goes on', error)

    def _surplus(self, runner: Runner, path: Path) -> list[Path]:
        if self.max_keep_ckpts < 0:
            return []
        iters = numbered_checkpoints(self.folder, 'iter', runner.iter)
        if not self.by_epoch:
            return iters[: -self.max_keep_ckpts]
        # a checkpoint of an iteration is from an interrupted epoch
        epochs = numbered_checkpoints(self.folder, 'epoch', runner.epoch)
        return [old for old in (*iters, *epochs[: -self.max_keep_ckpts]) if old != path]
