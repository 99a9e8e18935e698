"""Saving checkpoints at intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msseg.runner.builder import HOOKS
from msseg.runner.find_checkpoint import name_last, numbered_checkpoints
from msseg.runner.hooks.hook import Hook

if TYPE_CHECKING:
    from msseg.runner.runner import Runner


@HOOKS.register_module()
class CheckpointHook(Hook):
    """Saves ``iter_N.ckpt`` or ``epoch_N.ckpt``, N counting what is completed.

    Args:
        interval: Iterations or epochs between checkpoints; -1 saves none but the last.
        by_epoch: Whether `interval` counts epochs.
        save_optimizer: Save optimizer and other state too; without it a run cannot be resumed.
        out_dir: Folder for the files; the work dir by default.
        max_keep_ckpts: How many to keep; -1 keeps all. The oldest goes when a newer is on disk.
        save_last: Save after the last iteration, too.
        meta: More plain JSON values to store.

    Raises:
        ValueError: `interval` or `max_keep_ckpts` is 0.

    Source: MMCV 1.7 ``CheckpointHook``.
    """

    def __init__(
        self,
        interval: int = -1,
        by_epoch: bool = True,
        save_optimizer: bool = True,
        out_dir: str | None = None,
        max_keep_ckpts: int = -1,
        save_last: bool = True,
        meta: dict | None = None,
    ) -> None:
        for name, value in (('interval', interval), ('max_keep_ckpts', max_keep_ckpts)):
            if not (value == -1 or value > 0):
                raise ValueError(
                    f'checkpoint_config.{name} is {value!r}, expected a positive integer or -1'
                )
        self.interval = interval
        self.by_epoch = by_epoch
        self.save_optimizer = save_optimizer
        self.out_dir = out_dir
        self.max_keep_ckpts = max_keep_ckpts
        self.save_last = save_last
        self.meta = meta or {}

    def before_run(self, runner: Runner) -> None:
        """Make the folder."""
        self.folder = Path(self.out_dir) if self.out_dir else runner.work_dir
        self.folder.mkdir(parents=True, exist_ok=True)

    def after_train_iter(self, runner: Runner) -> None:
        """Save when it is time."""
        if self.by_epoch:
            due = runner.inner_iter == 0 and self.every_n_epochs(runner, self.interval)
        else:
            due = self.every_n_iters(runner, self.interval)
        if runner.rank == 0 and (due or (self.save_last and self.is_last_iter(runner))):
            self._save(runner)

    def _save(self, runner: Runner) -> None:
        prefix, number = ('epoch', runner.epoch) if self.by_epoch else ('iter', runner.iter)
        path = self.folder / f'{prefix}_{number}.ckpt'
        runner.save(path, self.meta, with_state=self.save_optimizer)
        name_last(path)
        runner.logger.info('saved %s', path)
        if self.max_keep_ckpts > 0:
            for old in numbered_checkpoints(self.folder, prefix)[: -self.max_keep_ckpts]:
                if old != path:
                    old.unlink()
