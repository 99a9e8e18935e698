"""Experiment trackers: one hook, and what wandb and SwanLab, whose packages are extras, need."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

import numpy as np

from msseg.runner.builder import HOOKS
from msseg.runner.hooks.logger import LoggerHook
from msseg.utils.arguments import NonNegativeInt, PositiveInt, checked
from msseg.utils.dist import get_rank
from msseg.utils.errors import UserValueError
from msseg.utils.extras import import_extra
from msseg.utils.shown import shorten, without_secrets

if TYPE_CHECKING:
    from msseg.runner.runner import Runner

# After a failure the tracker is left alone for so long, and for some times what the failure took: a
# server that does not answer would hold up training at each line.
_PAUSE_S, _PAUSE_TIMES = 60.0, 10
_LONGEST_MESSAGE = 300
_SUFFIXES = ('.log.json', '.log', '.py')
Summary = Literal['min', 'max', 'mean', 'best', 'last', 'none']


class TrackerHook(LoggerHook):
    """Report a run to an experiment tracker; the base of the hooks for each.

    Rank 0 reports the config (without secrets), the values of each training line under ``train/``,
    the scores of each evaluation under ``val/``, and pictures of some images of ``data.val``. The
    tracker's name of the run stands in checkpoints: a resumed run goes on there. A tracker that
    fails later is reported once; its points are lost, and training goes on.

    Args:
        interval: See `LoggerHook`.
        by_epoch: See `LoggerHook`.
        ignore_last: See `LoggerHook`.
        num_images: Images of each evaluation to show.
    """

    package: str  # and its extra's name
    advice: str  # what to do when a run cannot be started

    def __init__(self, interval: int, by_epoch: bool, ignore_last: bool, num_images: int) -> None:
        super().__init__(interval, by_epoch, ignore_last)
        self.num_images = num_images
        self.run_id: str | None = None
        self._not_before, self._has_warned = 0.0, False
        if get_rank() == 0:
            self.module: ModuleType = import_extra(self.package, self.package, self.name)

    @property
    def name(self) -> str:
        """The hook's name, for messages."""
        return type(self).__name__

    def start(self, runner: Runner, run_id: str | None) -> str:
        """Start a run, or go on with one; return its identifier."""
        raise NotImplementedError

    def send_values(self, values: dict[str, float], iteration: int) -> None:
        """Report numbers by name."""
        raise NotImplementedError

    def send_pictures(self, pictures: Mapping[str, np.ndarray], iteration: int) -> None:
        """Report pictures by name, RGB uint8 (h, w, 3)."""
        raise NotImplementedError

    def finish(self, runner: Runner, has_failed: bool) -> None:
        """End the run."""
        raise NotImplementedError

    def state(self) -> dict:
        """Return the run's identifier."""
        return {'run_id': self.run_id} if self.run_id else {}

    def load_state(self, state: dict) -> None:
        self.run_id = state['run_id']

    def before_run(self, runner: Runner) -> None:
        """Start the run, or go on with that of the resumed checkpoint.

        Raises:
            ValueError: The tracker refuses it.
        """
        if runner.rank != 0:
            return
        before = self.run_id
        try:
            self.run_id = self.start(runner, before)
        except Exception as error:  # of any class: the trackers' have no common one
            problem = f'the run cannot be started: {describe(error)}'
            raise UserValueError(problem, who=self.name, advice=self.advice) from error
        goes_on = ' goes on' if before == self.run_id else ''
        runner.logger.info('%s: run %s%s', self.name, self.run_id, goes_on)

    def log(self, runner: Runner, mode: str, values: dict[str, float]) -> None:
        """Report one point of each curve; scores that do not exist have none."""
        named = {'learning_rate': runner.current_lr()[0], **values}
        points = {f'{mode}/{k}': float(v) for k, v in named.items() if not math.isnan(v)}
        self._report(runner, lambda: self.send_values(points, runner.iter))

    def log_images(self, runner: Runner, pictures: Mapping[str, np.ndarray]) -> None:
        """Report pictures of an evaluation."""
        self._report(runner, lambda: self.send_pictures(pictures, runner.iter))

    def after_run(self, runner: Runner) -> None:
        """End the run, as failed when training ends with an error."""
        if runner.rank == 0:
            self._not_before = 0.0
            has_failed = sys.exc_info()[0] is not None
            self._report(runner, lambda: self.finish(runner, has_failed))

    def _report(self, runner: Runner, send: Callable[[], None]) -> None:
        begun = time.monotonic()
        if begun < self._not_before:
            return
        try:
            send()
        except Exception as error:  # of any class; training must not end for it
            now = time.monotonic()
            self._not_before = now + max(_PAUSE_S, _PAUSE_TIMES * (now - begun))
            if not self._has_warned:
                runner.logger.warning(
                    '%s: %s. What it does not take is lost; training goes on',
                    self.name, describe(error),
                )  # fmt: skip
            self._has_warned = True


@HOOKS.register_module()
class WandbLoggerHook(TrackerHook):
    """Report to Weights & Biases; see `TrackerHook`.

    Without a network: ``init_kwargs=dict(mode='offline')``, and ``wandb sync`` later.

    Args:
        init_kwargs: Arguments of ``wandb.init``; ``dir`` is the work dir by default.
        interval: Iterations between training points.
        by_epoch: See `LoggerHook`.
        ignore_last: See `LoggerHook`.
        num_images: Images of each evaluation to show.
        define_metric_cfg: Summaries by metric, as ``{'val/mIoU': 'max'}``.
        log_artifact: Upload the work dir's files that end in `out_suffix` when training ends.
        out_suffix: See `log_artifact`.
        with_step: Points always have their iteration, the metric ``iter``.
        commit: Points are always sent.

    Source: MMCV 1.7 ``WandbLoggerHook``.
    """

    package = 'wandb'
    advice = "log in with 'wandb login', or set init_kwargs=dict(mode='offline')"

    @checked
    def __init__(
        self,
        init_kwargs: Mapping | None = None,
        interval: PositiveInt = 10,
        by_epoch: bool = True,
        ignore_last: bool = True,
        num_images: NonNegativeInt = 0,
        define_metric_cfg: Mapping[str, Summary] | None = None,
        log_artifact: bool = False,
        out_suffix: str | tuple[str, ...] = _SUFFIXES,
        with_step: Literal[True] = True,
        commit: Literal[True] = True,
    ) -> None:
        super().__init__(interval, by_epoch, ignore_last, num_images)
        self.init_kwargs = dict(init_kwargs or {})
        self.define_metric_cfg = dict(define_metric_cfg or {})
        self.suffixes = ()
        if log_artifact:
            self.suffixes = (out_suffix,) if isinstance(out_suffix, str) else tuple(out_suffix)

    def start(self, runner: Runner, run_id: str | None) -> str:
        """Start or resume the run."""
        options = {'dir': str(runner.work_dir), **self.init_kwargs}
        if run_id is not None:
            options = {'id': run_id, 'resume': 'allow', **options}
        options['config'] = {**runner.settings, **without_secrets(options.get('config', {}))}
        self._run = self.module.init(**options)
        # iterations of their own, for those of a resumed run may begin before the last point
        self._run.define_metric('iter')
        self._run.define_metric('*', step_metric='iter')
        for name, summary in self.define_metric_cfg.items():
            self._run.define_metric(name, step_metric='iter', summary=summary)
        return self._run.id

    def send_values(self, values: dict[str, float], iteration: int) -> None:
        """Log one point."""
        self._run.log({**values, 'iter': iteration})

    def send_pictures(self, pictures: Mapping[str, np.ndarray], iteration: int) -> None:
        """Log pictures under ``evaluation/``."""
        image = self.module.Image
        shown = {f'evaluation/{k}': image(v, file_type='jpg') for k, v in pictures.items()}
        self._run.log({**shown, 'iter': iteration})

    def finish(self, runner: Runner, has_failed: bool) -> None:
        """Upload files if asked for, and end the run."""
        try:
            if self.suffixes:
                artifact = self.module.Artifact(name=f'run_{self.run_id}_files', type='logs')
                for path in _files(runner.work_dir, self.suffixes):
                    artifact.add_file(str(path), name=str(path.relative_to(runner.work_dir)))
                self._run.log_artifact(artifact)
        finally:
            self._run.finish(exit_code=int(has_failed))


@HOOKS.register_module()
class MMSegWandbHook(WandbLoggerHook):
    """Report to Weights & Biases, with pictures of evaluations; see `WandbLoggerHook`.

    Args:
        init_kwargs: Arguments of ``wandb.init``.
        interval: Iterations between training points.
        by_epoch: See `LoggerHook`.
        ignore_last: See `LoggerHook`.
        num_eval_images: Images of each evaluation to show.
        log_checkpoint: Checkpoints are not uploaded.
        log_checkpoint_metadata: See `log_checkpoint`.

    Source: MMSegmentation 0.30 ``MMSegWandbHook``, which shows the images in tables.
    """

    @checked
    def __init__(
        self,
        init_kwargs: Mapping | None = None,
        interval: PositiveInt = 50,
        by_epoch: bool = True,
        ignore_last: bool = True,
        num_eval_images: NonNegativeInt = 100,
        log_checkpoint: Literal[False] = False,
        log_checkpoint_metadata: Literal[False] = False,
    ) -> None:
        super().__init__(init_kwargs, interval, by_epoch, ignore_last, num_eval_images)


@HOOKS.register_module()
class SwanlabLoggerHook(TrackerHook):
    """Report to SwanLab; see `TrackerHook`.

    Without a network: ``init_kwargs=dict(mode='offline')``, and ``swanlab sync`` later.

    Args:
        init_kwargs: Arguments of ``swanlab.init``; ``logdir`` is ``swanlog`` in the work dir by
            default.
        interval: Iterations between training points.
        by_epoch: See `LoggerHook`.
        ignore_last: See `LoggerHook`.
        num_images: Images of each evaluation to show.
    """

    package = 'swanlab'
    advice = "log in with 'swanlab login', or set init_kwargs=dict(mode='offline')"

    @checked
    def __init__(
        self,
        init_kwargs: Mapping | None = None,
        interval: PositiveInt = 10,
        by_epoch: bool = True,
        ignore_last: bool = True,
        num_images: NonNegativeInt = 0,
    ) -> None:
        super().__init__(interval, by_epoch, ignore_last, num_images)
        self.init_kwargs = dict(init_kwargs or {})

    def start(self, runner: Runner, run_id: str | None) -> str:
        """Start or resume the run."""
        options = dict(self.init_kwargs)
        if not {'logdir', 'log_dir'} & options.keys():
            options['logdir'] = str(runner.work_dir / 'swanlog')
        if run_id is not None:
            options = {'id': run_id, 'resume': 'allow', **options}
        options['config'] = {**runner.settings, **without_secrets(options.get('config', {}))}
        self._run = self.module.init(**options)
        return self._run.id

    def send_values(self, values: dict[str, float], iteration: int) -> None:
        """Log one point."""
        self._run.log(values, step=iteration)

    def send_pictures(self, pictures: Mapping[str, np.ndarray], iteration: int) -> None:
        """Log pictures under ``evaluation/``."""
        image = self.module.Image
        shown = {f'evaluation/{k}': image(v, file_type='jpg') for k, v in pictures.items()}
        self._run.log(shown, step=iteration)

    def finish(self, runner: Runner, has_failed: bool) -> None:
        """End the run."""
        if has_failed:
            self._run.finish(state='crashed', error=describe(sys.exc_info()[1]))
        else:
            self._run.finish()


def describe(error: BaseException | None) -> str:
    """Return an exception's class and message, on one line."""
    return shorten(f'{type(error).__name__}: {error}', _LONGEST_MESSAGE)


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Return the files of a work dir that end in a suffix, without the tracker's own."""
    found = (path for path in sorted(folder.rglob('*')) if path.name.endswith(suffixes))
    return [p for p in found if p.is_file() and 'wandb' not in p.relative_to(folder).parts]
