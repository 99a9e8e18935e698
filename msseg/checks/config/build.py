"""Build all parts of a config, and collect the errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from mindspore import nn
from mindspore.nn.utils import no_init_parameters

from msseg.apis.build import build_model, build_split, build_train_step
from msseg.apis.settings import (
    SPLITS,
    dataset_nodes,
    each,
    head_nodes,
    is_list_of_dicts,
    part,
    setting,
    transform_nodes,
)
from msseg.apis.train_settings import (
    LoaderSettings,
    StepSettings,
    refuse_unsupported,
    scale_lr,
)
from msseg.checks.config.rules import HINDERS_BUILDING, ConfigFindings
from msseg.config import Config, required
from msseg.datasets import TrainLoader
from msseg.datasets.builder import PIPELINES
from msseg.datasets.pipelines import Compose
from msseg.inference.inferencer import Inferencer
from msseg.models import SegmentorWithLoss
from msseg.models.builder import HEADS, build_backbone, build_head, build_neck
from msseg.models.contract import find_input_mismatches
from msseg.registry import build_from_cfg, call_with_cfg, config_file, config_path
from msseg.runner import RUNNERS, Runner, TrainStep, build_optimizer
from msseg.runner.hooks import CheckpointHook, EvalHook, LrUpdaterHook
from msseg.runner.optimizer import unused_custom_keys
from msseg.utils.arguments import fits
from msseg.utils.cli import USER_ERRORS, one_line
from msseg.utils.dist import get_rank, get_world_size
from msseg.utils.logging import check_level, get_logger
from msseg.utils.user_code import RUN_ERRORS, describe_failure

T = TypeVar('T')

_MANY = 1_000_000  # samples of a data set that is not built
_HINDERS = (*HINDERS_BUILDING, 'norm_missing')


def collect_error(
    findings: ConfigFindings, key: str, build: Callable[[], T], kind: str = 'refused'
) -> T | None:
    """Return the result of a function; None if it raises an error, which becomes a finding.

    Args:
        findings: The collection to add to.
        key: The part of the config that it is about, unless the error names one below.
        build: The function.
        kind: The rule of the finding.
    """
    try:
        return build()
    except USER_ERRORS as error:
        _add_error(findings, key, error, kind)
    except RUN_ERRORS as error:
        _add_error(findings, key, ValueError(describe_failure(error).lstrip(', :')), kind)
    return None


def _add_error(findings: ConfigFindings, key: str, error: Exception, kind: str) -> None:
    where = getattr(error, 'config_path', None) or key
    where = where if where.startswith(key) else key
    findings.add(kind, where, one_line(error).removeprefix(f'{where}: '))


def build_whole_model(cfg: Config, findings: ConfigFindings) -> nn.Cell | None:
    """Build the model without values in its weights; if that fails, each of its parts."""
    if not part(cfg, 'model'):
        return None
    error = None
    with no_init_parameters():
        if not findings.hinders('model'):
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
        _add_error(findings, 'model', error, 'refused')
    return None


def _build_parts(cfg: Config, findings: ConfigFindings) -> None:
    channels = None
    for name, build in (('backbone', build_backbone), ('neck', build_neck)):
        node, key, built = part(cfg, 'model').get(name), f'model.{name}', None
        if node is not None:
            if isinstance(node, Mapping) and not findings.hinders(key):
                built = collect_error(findings, key, lambda b=build, n=node: b(n))
            channels = getattr(built, 'out_channels', None)
    for head in head_nodes(cfg):
        if isinstance(channels, (list, tuple)):
            _check_inputs(head, channels, findings)
        if not findings.hinders(config_path(head)):
            collect_error(findings, config_path(head), lambda h=head: build_head(h))


def _check_inputs(
    head: Mapping[str, Any], channels: Sequence[int], findings: ConfigFindings
) -> None:
    index, given = (setting(head, name, HEADS) for name in ('in_index', 'in_channels'))
    values = [each.value for each in (index, given) if each is not None]
    are_lists = all(fits(value, Sequence[int]) for value in values)
    if len(values) < 2 or not (
        all(fits(value, int) for value in values) or are_lists and len(values[0]) == len(values[1])
    ):
        return  # building the head finds what is wrong with them
    for mismatch in find_input_mismatches(*values, channels):
        said = setting(head, mismatch.argument, HEADS)
        findings.add_setting(mismatch.argument, said, mismatch.text)


def build_transforms(cfg: Config, findings: ConfigFindings) -> None:
    """Build each transform of all pipelines; no file is read."""
    for dataset in (node for split in SPLITS for node in dataset_nodes(cfg, split)):
        where = f'{config_path(dataset)}.pipeline'
        if not is_list_of_dicts(dataset.get('pipeline')) and not findings.hinders(where):
            collect_error(findings, where, lambda d=dataset: Compose(d.get('pipeline')))
        for node in transform_nodes(dataset):
            if not findings.hinders(config_path(node), _HINDERS):
                collect_error(findings, config_path(node), lambda n=node: PIPELINES.build(n))


def build_datasets(cfg: Config, findings: ConfigFindings) -> dict[str, Any]:
    """Build the data sets that no finding hinders; return them by split."""
    built = {}
    for split in SPLITS:
        key = f'data.{split}'
        is_hindered = findings.hinders(key, (*_HINDERS, 'data_path', 'refused'))
        if part(cfg, 'data').get(split) is not None and not is_hindered:
            built[split] = collect_error(findings, key, lambda s=split: build_split(cfg, s))
    return {split: dataset for split, dataset in built.items() if dataset is not None}


def find_epoch_length(cfg: Config, dataset: Any, findings: ConfigFindings) -> int | None:
    """Build the loader of training.

    Args:
        cfg: The config.
        dataset: The data set of training; None if it is not built.
        findings: The collection to add to.

    Returns:
        Iterations of an epoch; None if they are not known.
    """
    options = asdict(LoaderSettings.of(cfg, 'train')) if part(cfg, 'data') else {}
    keys = [f'{lead}.{name}' for lead in ('data', 'data.train_dataloader') for name in options]
    if not options or any(map(findings.hinders, ['seed', *keys])):
        return None
    samples = range(_MANY) if dataset is None else dataset
    options.update(seed=cfg.get('seed') or 0, rank=get_rank(), world_size=get_world_size())
    loader = collect_error(findings, 'data', lambda: TrainLoader(samples, **options))
    return loader.iters_per_epoch if loader is not None and dataset is not None else None


class Layer(nn.Cell):
    """The smallest model that an optimizer takes."""

    loss_names = ('loss',)

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Dense(2, 2)


@dataclass(frozen=True)
class Lengths:
    """What a runner needs of its loader before it runs."""

    iters_per_epoch: int
    global_batch: int = 1


def build_training(
    cfg: Config, findings: ConfigFindings, iters_per_epoch: int | None = None
) -> None:
    """Build optimizer, training step, runner and hooks, with one layer in place of the model."""
    collect_error(findings, 'workflow', lambda: refuse_unsupported(cfg))
    collect_error(findings, 'log_level', lambda: check_level(cfg.get('log_level', 'INFO')))
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
    runner = collect_error(
        findings, 'runner', lambda: build_from_cfg(required(cfg, 'runner'), RUNNERS, arguments)
    )
    if runner is not None:
        _build_hooks(cfg, runner, findings)


def _build_step(cfg: Config, findings: ConfigFindings) -> TrainStep:
    """Build the training step; one of plain SGD if the config's cannot be built."""
    layer = Layer()
    if part(cfg, 'optimizer') and not findings.hinders('optimizer'):
        built = collect_error(findings, 'optimizer', lambda: build_optimizer(layer, scale_lr(cfg)))
        others = ('optimizer_config', 'fp16', 'bf16')
        if built is not None and not any(map(findings.hinders, others)):
            step = collect_error(
                findings, others[0], lambda: build_train_step(layer, StepSettings.of(cfg))
            )
            if step is not None:
                return step
    return TrainStep(SegmentorWithLoss(layer), build_optimizer(layer, dict(type='SGD', lr=0.1)))


def check_custom_keys(cfg: Config, model: nn.Cell, findings: ConfigFindings) -> None:
    """Find keys of ``paramwise_cfg.custom_keys`` that change no parameter of the model."""
    keys = part(cfg, 'optimizer.paramwise_cfg.custom_keys')
    for key, hint in unused_custom_keys(model, part(cfg, 'optimizer.paramwise_cfg')).items():
        note = f'{key!r} is part of no trainable parameter.{hint}'
        place = f'{config_path(keys)}.{key}'
        findings.add('unused_custom_key', place, note, config_file(keys, key) or '')


def _build_hooks(cfg: Config, runner: Runner, findings: ConfigFindings) -> None:
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
            collect_error(findings, key, build)
