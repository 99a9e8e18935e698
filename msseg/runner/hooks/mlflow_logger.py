"""Runs for MLflow."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from msseg.runner.builder import HOOKS
from msseg.runner.find_checkpoint import resolve_checkpoint
from msseg.runner.hooks.trackers import TrackerHook, describe
from msseg.utils.arguments import Name, NonNegativeInt, PositiveInt, checked
from msseg.utils.shown import shorten

if TYPE_CHECKING:
    from msseg.runner.runner import Runner

_LONGEST_PARAMETER = 5000  # MLflow takes 6000 characters
_NOT_IN_MLFLOW = re.compile(r'[^\w\-. /]')
_DEFAULT_EXPERIMENT = 'msseg'


@HOOKS.register_module()
class MlflowLoggerHook(TrackerHook):
    """Report to MLflow; see `TrackerHook`.

    Args:
        exp_name: The experiment; by default MLFLOW_EXPERIMENT_NAME, else ``msseg``.
        run_name: The run; by default the work dir's name.
        tags: Tags of the run.
        params: Parameters of the run, beside the config's.
        tracking_uri: The server or store; by default MLFLOW_TRACKING_URI, else ``mlflow.db`` in the
            work dir.
        log_model: Store the newest checkpoint when training ends.
        interval: Iterations between training points.
        by_epoch: See `LoggerHook`.
        ignore_last: See `LoggerHook`.
        num_images: Images of each evaluation to show.

    Source: MMCV 1.7 ``MlflowLoggerHook``, and MMEngine's ``MLflowVisBackend``.
    """

    package = 'mlflow'
    advice = 'is the server of tracking_uri running? Without it, runs are stored in the work dir'

    @checked
    def __init__(
        self,
        exp_name: Name | None = None,
        run_name: Name | None = None,
        tags: Mapping | None = None,
        params: Mapping | None = None,
        tracking_uri: str | Path | None = None,
        log_model: bool = False,
        interval: PositiveInt = 10,
        by_epoch: bool = True,
        ignore_last: bool = True,
        num_images: NonNegativeInt = 0,
    ) -> None:
        super().__init__(interval, by_epoch, ignore_last, num_images)
        self.exp_name, self.run_name, self.log_model = exp_name, run_name, log_model
        self.tags, self.params = dict(tags or {}), dict(params or {})
        self.tracking_uri = tracking_uri

    def start(self, runner: Runner, run_id: str | None) -> str:
        """Open the store, and start or resume the run."""
        mlflow, folder = self.module, runner.work_dir.absolute()
        uri = self.tracking_uri or os.environ.get('MLFLOW_TRACKING_URI')
        mlflow.set_tracking_uri(str(uri or f'sqlite:///{folder / "mlflow.db"}'))
        name = self.exp_name or os.environ.get('MLFLOW_EXPERIMENT_NAME') or _DEFAULT_EXPERIMENT
        if uri is None and mlflow.get_experiment_by_name(name) is None:
            mlflow.create_experiment(name, artifact_location=(folder / 'mlartifacts').as_uri())
        mlflow.set_experiment(name)
        if run_id is not None:
            try:
                return mlflow.start_run(run_id=run_id).info.run_id
            except mlflow.exceptions.MlflowException as error:  # another store, or deleted there
                text = '%s: run %s cannot go on (%s), a new one begins'
                runner.logger.warning(text, self.name, run_id, describe(error))
        run = mlflow.start_run(run_name=self.run_name or folder.name, tags=self.tags)
        params = {**runner.settings, **self.params}
        mlflow.log_params({_mlflow_name(k): _as_parameter(v) for k, v in params.items()})
        return run.info.run_id

    def send_values(self, values: dict[str, float], iteration: int) -> None:
        """Log one point, under names in MLflow's characters."""
        named = {_mlflow_name(name): value for name, value in values.items()}
        self.module.log_metrics(named, step=iteration)

    def send_pictures(self, pictures: Mapping[str, np.ndarray], iteration: int) -> None:
        """Store pictures as artifacts, in a folder for each evaluation."""
        for name, picture in pictures.items():
            path = f'evaluation/iter_{iteration}/{_mlflow_name(name)}.jpg'
            self.module.log_image(picture, path)

    def finish(self, runner: Runner, has_failed: bool) -> None:
        """Store the checkpoint if asked for, and end the run."""
        try:
            if self.log_model:
                newest = resolve_checkpoint(runner.work_dir)
                self.module.log_artifact(str(newest), 'checkpoints')
        finally:
            self.module.end_run('FAILED' if has_failed else 'FINISHED')


def _mlflow_name(name: str) -> str:
    """Return a name in MLflow's characters: others as their numbers, as ``u0028`` for a bracket."""
    return _NOT_IN_MLFLOW.sub(lambda match: f'u{ord(match[0]):04x}', name)


def _as_parameter(value: Any) -> str:
    return shorten(str(value), _LONGEST_PARAMETER)
