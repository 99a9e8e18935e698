"""Hooks: actions around iterations, epochs and evaluations."""

from msseg.runner.hooks.checkpoint import CheckpointHook
from msseg.runner.hooks.default_hooks import IterTimerHook, ProgressHook, StopSignalHook
from msseg.runner.hooks.early_stopping import EarlyStoppingHook
from msseg.runner.hooks.ema import EMAHook
from msseg.runner.hooks.evaluation import EvalHook
from msseg.runner.hooks.hook import PRIORITIES, Hook
from msseg.runner.hooks.logger import LoggerHook
from msseg.runner.hooks.lr_updater import LrUpdaterHook
from msseg.runner.hooks.mlflow_logger import MlflowLoggerHook
from msseg.runner.hooks.nan_guard import NaNGuardHook
from msseg.runner.hooks.tensorboard_logger import TensorboardLoggerHook
from msseg.runner.hooks.text_logger import TextLoggerHook
from msseg.runner.hooks.trackers import MMSegWandbHook, SwanlabLoggerHook, WandbLoggerHook

__all__ = [
    'PRIORITIES',
    'CheckpointHook',
    'EMAHook',
    'EarlyStoppingHook',
    'EvalHook',
    'Hook',
    'IterTimerHook',
    'LoggerHook',
    'LrUpdaterHook',
    'MMSegWandbHook',
    'MlflowLoggerHook',
    'NaNGuardHook',
    'ProgressHook',
    'StopSignalHook',
    'SwanlabLoggerHook',
    'TensorboardLoggerHook',
    'TextLoggerHook',
    'WandbLoggerHook',
]
