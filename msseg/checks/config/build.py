"""Build all parts of a config, and collect the errors."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

from mindspore import nn
from mindspore.nn.utils import no_init_parameters

from msseg.apis.build import build_model, build_split, build_train_step
from msseg.apis.train import register_hooks
from msseg.apis.train_settings import (
    HookSettings,
    LoaderSettings,
    StepSettings,
    refuse_unsupported,
    scale_lr,
)
from msseg.checks.config.rules import BLOCKING
from msseg.checks.config.settings import (
    SPLITS,
    dataset_nodes,
    each,
    head_nodes,
    is_list_of_dicts,
    part,
    setting,
    transform_nodes,
)
from msseg.checks.findings import Findings, note_of
from msseg.config import Config, required
from msseg.datasets import TrainLoader
from msseg.datasets.builder import PIPELINES
from msseg.datasets.pipelines import Compose
from msseg.inference.inferencer import Inferencer
from msseg.models import SegmentorWithLoss
from msseg.models.builder import HEADS, build_backbone, build_head, build_neck
from msseg.models.contract import find_input_mismatches
from msseg.registry import build_from_cfg, config_file, config_path
from msseg.runner import RUNNERS, Runner, TrainStep, build_optimizer
from msseg.runner.hooks import LrUpdaterHook
from msseg.runner.optimizer import group_parameters, unused_custom_keys
from msseg.utils.cli import USER_ERRORS
from msseg.utils.dist import get_rank, get_world_size
from msseg.utils.logging import check_level, get_logger
from msseg.utils.user_code import RUN_ERRORS, describe_failure

T = TypeVar('T')

_MANY = 1_000_000  # samples of a data set that is not built
_BLOCKING = (*BLOCKING, 'norm_missing')


def collect_error(
    findings: Findings,
    key: str,
    build: Callable[[], T],
    kind: str = 'refused',
    blocking: Collection[str] | None = None,
) -> T | None:
    """Return the result of a function; None if it raises an error, which becomes a finding.

    Args:
        findings: The collection to add to; blocking findings at or below the key prevent the call.
        key: The part of the config that it is about, unless the error names one below.
        build: The function.
        kind: The rule of the finding.
        blocking: Kinds of findings that block; those of the collection by default.
    """
    if findings.block(key, blocking):
        return None
    try:
        return build()
    except USER_ERRORS as error:
        _add_error(findings, key, error, kind)
    except RUN_ERRORS as error:
        _add_error(findings, key, ValueError(describe_failure(error).lstrip(', :')), kind)
    return None


def _add_error(findings: Findings, key: str, error: Exception, kind: str = 'refused') -> None:
    where = getattr(error, 'config_path', None) or key
    where = where if where.startswith(key) else key
    findings.add(kind, where, note_of(error).removeprefix(f'{where}: '))


def build_whole_model(cfg: Config, findings: Findings) -> nn.Cell | None:
    """Build the model without values in its weights; if that fails, each of its parts."""
    if not part(cfg, 'model'):
        return None
    error = None
    with no_init_parameters():
        if not findings.block('model'):
            try:
                model = build_model(cfg)
            except USER_ERRORS as refused:
                error = refused
            else:
                collect_error(findings, 'model.test_cfg', lambda: Inferencer(model))
                return model
        before = findings.keys()
        _build_parts(cfg, findings)
    if error is not None and findings.keys() == before:
        _add_error(findings, 'model', error)
    return None


def _build_parts(cfg: Config, findings: Findings) -> None:
    channels = None
    for name, build in (('backbone', build_backbone), ('neck', build_neck)):
        node = part(cfg, 'model').get(name)
        if isinstance(node, Mapping):
            built = collect_error(findings, f'model.{name}', lambda b=build, n=node: b(n))
            channels = getattr(built, 'out_channels', None)
    for head in head_nodes(cfg):
        _check_inputs(head, channels, findings)
        collect_error(findings, config_path(head), lambda h=head: build_head(h))


def _check_inputs(head: Mapping[str, Any], channels: Any, findings: Findings) -> None:
    given = [setting(head, name, HEADS) for name in ('in_index', 'in_channels')]
    values = [each.value if each is not None else None for each in given]
    for mismatch in find_input_mismatches(*values, channels):
        wrong = setting(head, mismatch.argument, HEADS)
        findings.add_setting(mismatch.argument, wrong, mismatch.text)


def build_transforms(cfg: Config, findings: Findings) -> None:
    """Build each transform of all pipelines; no file is read."""
    for dataset in (node for split in SPLITS for node in dataset_nodes(cfg, split)):
        if not is_list_of_dicts(dataset.get('pipeline')):
            where = f'{config_path(dataset)}.pipeline'
            collect_error(findings, where, lambda d=dataset: Compose(d.get('pipeline')))
        for node in transform_nodes(dataset):
            key = config_path(node)
            collect_error(findings, key, lambda n=node: PIPELINES.build(n), blocking=_BLOCKING)


def build_datasets(cfg: Config, findings: Findings) -> dict[str, Any]:
    """Build the data sets; return them by split."""
    blocking, built = (*_BLOCKING, 'data_path', 'refused'), {}
    for split in SPLITS:
        if part(cfg, 'data').get(split) is not None:
            dataset = collect_error(
                findings, f'data.{split}', lambda s=split: build_split(cfg, s), blocking=blocking
            )
            if dataset is not None:
                built[split] = dataset
    return built


def find_epoch_length(cfg: Config, dataset: Any, findings: Findings) -> int | None:
    """Build the loader of training; return the iterations of an epoch, if `dataset` is built."""
    options = asdict(LoaderSettings.of(cfg, 'train')) if part(cfg, 'data') else {}
    keys = [f'{lead}.{name}' for lead in ('data', 'data.train_dataloader') for name in options]
    if not options or any(map(findings.block, ['seed', *keys])):
        return None
    samples = range(_MANY) if dataset is None else dataset
    options.update(seed=cfg.get('seed') or 0, rank=get_rank(), world_size=get_world_size())
    loader = collect_error(findings, 'data', lambda: TrainLoader(samples, **options), blocking=())
    return loader.iters_per_epoch if loader is not None and dataset is not None else None


class Layer(nn.Cell):
    """The smallest model that an optimizer takes."""

    loss_names = ('loss',)

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Dense(2, 2)


def build_training(cfg: Config, findings: Findings, iters_per_epoch: int | None = None) -> None:
    """Build optimizer, training step, runner and hooks, with one layer in place of the model."""
    collect_error(findings, 'workflow', lambda: refuse_unsupported(cfg))
    collect_error(findings, 'log_level', lambda: check_level(cfg.get('log_level', 'INFO')))
    step = _build_step(cfg, findings)
    if not part(cfg, 'runner'):
        return
    arguments = {
        'train_step': step,
        'model': step.network.network.segmentor,
        # what a runner needs of its loader before it runs
        'loader': SimpleNamespace(iters_per_epoch=iters_per_epoch or 1, global_batch=1),
        'work_dir': Path(),
        'logger': get_logger(),
    }
    runner = collect_error(
        findings, 'runner', lambda: build_from_cfg(required(cfg, 'runner'), RUNNERS, arguments)
    )
    if runner is not None:
        _build_hooks(cfg, runner, findings)


def _build_step(cfg: Config, findings: Findings) -> TrainStep:
    """Build the training step; one of plain SGD if the config's cannot be built."""
    layer, step = Layer(), None
    if part(cfg, 'optimizer'):
        built = collect_error(
            findings, 'optimizer', lambda: build_optimizer(layer, _settings(cfg).optimizer)
        )
        if built is not None and not any(map(findings.block, ('fp16', 'bf16'))):
            step = collect_error(
                findings, 'optimizer_config', lambda: build_train_step(layer, _settings(cfg))
            )
    plain = build_optimizer(layer, dict(type='SGD', lr=0.1))
    return step or TrainStep(SegmentorWithLoss(layer), plain)


def _settings(cfg: Config) -> StepSettings:
    """Return the settings of the training step, without a rule that needs the model."""
    settings = StepSettings.of(cfg)
    if not settings.optimizer.get('constructor'):
        return settings
    rule = ('constructor', 'paramwise_cfg')
    optimizer = {key: value for key, value in settings.optimizer.items() if key not in rule}
    return replace(settings, optimizer=optimizer)


def check_parameter_groups(cfg: Config, model: nn.Cell, findings: Findings) -> None:
    """Find settings of single parameters that the model refuses, or that change no parameter."""
    if part(cfg, 'optimizer').get('constructor'):
        collect_error(findings, 'optimizer', lambda: group_parameters(model, scale_lr(cfg)))
    keys = part(cfg, 'optimizer.paramwise_cfg.custom_keys')
    for key, hint in unused_custom_keys(model, part(cfg, 'optimizer.paramwise_cfg')).items():
        note = f'{key!r} is part of no trainable parameter.{hint}'
        place = f'{config_path(keys)}.{key}'
        findings.add('unused_custom_key', place, note, config_file(keys, key) or '')


def _build_hooks(cfg: Config, runner: Runner, findings: Findings) -> None:
    """Register the hooks, as training does."""
    names = part(cfg, 'evaluation').keys() - {'metric', 'loss', 'save_best'}
    evaluation = {'evaluate': dict, 'reported': [], **{n: cfg.evaluation[n] for n in names}}

    def register(hook: Any, priority: int | str = 'NORMAL', **arguments: Any) -> None:
        key = 'evaluation' if hook is evaluation else config_path(hook) or 'custom_hooks'
        collect_error(findings, key, lambda: runner.register_hook(hook, priority, **arguments))

    hooks = collect_error(findings, 'lr_config', lambda: HookSettings.of(cfg))
    if hooks is not None:
        interval = None if findings.block('log_config.interval') else hooks.log_interval
        hooks = replace(hooks, log_interval=interval, loggers=each(hooks.loggers))
        collector = SimpleNamespace(by_epoch=runner.by_epoch, register_hook=register)
        register_hooks(collector, hooks, evaluation)
    for hook in runner.hooks:
        if isinstance(hook, LrUpdaterHook):
            collect_error(findings, 'lr_config', lambda h=hook: h.lrs(runner))
