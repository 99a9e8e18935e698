"""Building optimizer, training step, runner and hooks, around a layer in the model's place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mindspore import nn

from msseg.apis.optimization import build_train_step, scale_lr
from msseg.apis.settings import each, part
from msseg.apis.train import refuse_unsupported
from msseg.checks.config.attempt import attempt
from msseg.checks.config.finding import Findings
from msseg.config import Config, required
from msseg.models import SegmentorWithLoss
from msseg.registry import build_from_cfg, call_with_cfg, config_file, config_path
from msseg.runner import RUNNERS, Runner, TrainStep, build_optimizer
from msseg.runner.hooks import CheckpointHook, EvalHook, LrUpdaterHook
from msseg.runner.optimizer import unused_custom_keys
from msseg.utils.logging import check_level, get_logger


class Layer(nn.Cell):
    """The smallest of models, as optimizers see it."""

    loss_names = ('loss',)

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Dense(2, 2)


@dataclass(frozen=True)
class Lengths:
    """What a runner asks of its loader before it runs."""

    iters_per_epoch: int
    global_batch: int = 1


def build_training(cfg: Config, findings: Findings, iters_per_epoch: int | None = None) -> None:
    """Build what trains, noting what is wrong.

    Args:
        cfg: The config.
        findings: Where to note it.
        iters_per_epoch: None while the data are not known.
    """
    attempt(findings, 'workflow', lambda: refuse_unsupported(cfg))
    attempt(findings, 'log_level', lambda: check_level(cfg.get('log_level', 'INFO')))
    step = _build_step(cfg, findings)
    if not part(cfg, 'runner') or findings.hinders('runner'):
        return
    arguments = {
        'train_step': step,
        'model': step.network.network.segmentor,
        'loader': Lengths(iters_per_epoch or 1),
        'work_dir': Path(),
        'logger': get_logger(),
    }
    runner = attempt(
        findings, 'runner', lambda: build_from_cfg(required(cfg, 'runner'), RUNNERS, arguments)
    )
    if runner is not None:
        _build_hooks(cfg, runner, findings)


def _build_step(cfg: Config, findings: Findings) -> TrainStep:
    """Build the training step; one of plain SGD when the config's cannot be."""
    layer = Layer()
    if part(cfg, 'optimizer') and not findings.hinders('optimizer'):
        built = attempt(findings, 'optimizer', lambda: build_optimizer(layer, scale_lr(cfg)))
        others = ('optimizer_config', 'fp16', 'bf16')
        if built is not None and not any(map(findings.hinders, others)):
            step = attempt(findings, 'optimizer_config', lambda: build_train_step(layer, cfg))
            if step is not None:
                return step
    return TrainStep(SegmentorWithLoss(layer), build_optimizer(layer, dict(type='SGD', lr=0.1)))


def check_custom_keys(cfg: Config, model: nn.Cell, findings: Findings) -> None:
    """Note those of ``paramwise_cfg.custom_keys`` that change no parameter of the model."""
    paramwise = part(cfg, 'optimizer.paramwise_cfg')
    keys = part(cfg, 'optimizer.paramwise_cfg.custom_keys')
    for key, hint in unused_custom_keys(model, paramwise).items():
        place = f'{config_path(keys)}.{key}'
        note = f'{key!r} is part of no trainable parameter.{hint}'
        findings.add('unused_custom_key', place, note, config_file(keys, key) or '')


def _build_hooks(cfg: Config, runner: Runner, findings: Findings) -> None:
    """Build each hook as `register_hooks` does."""
    by_epoch = {'by_epoch': runner.by_epoch}
    evaluation = {'evaluate': dict, 'reported': [], **by_epoch, **part(cfg, 'evaluation')}
    for key in ('metric', 'loss', 'save_best'):
        evaluation.pop(key, None)
    saving, log = part(cfg, 'checkpoint_config'), part(cfg, 'log_config')
    has_interval = 'interval' in log and not findings.hinders('log_config.interval')
    interval = {'interval': log['interval']} if has_interval else {}
    builders = {
        'lr_config': lambda: call_with_cfg(LrUpdaterHook, part(cfg, 'lr_config')).lrs(runner),
        'evaluation': lambda: call_with_cfg(EvalHook, evaluation),
        'checkpoint_config': lambda: call_with_cfg(CheckpointHook, saving, **by_epoch),
    }
    for index, hook in enumerate(cfg.get('custom_hooks') or []):
        builders[f'custom_hooks[{index}]'] = lambda h=hook: runner.register_hook(h)
    for hook in each(log.get('hooks')):
        builders[config_path(hook)] = lambda h=hook: runner.register_hook(h, **by_epoch, **interval)
    for key, build in builders.items():
        if not findings.hinders(key):
            attempt(findings, key, build)
