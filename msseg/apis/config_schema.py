"""The schema of configs, as data: the component behind each key; and loading checked configs."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from msseg.config import Config
from msseg.config.checking import (
    Accepts,
    Rule,
    Schema,
    check_config,
    check_options,
    drop_meaningless,
    drop_variables,
    registered,
    takes,
    takes_anything,
)
from msseg.config.config_dict import split_key
from msseg.config.mmseg1x import place_of
from msseg.datasets import TrainLoader
from msseg.datasets.builder import DATASETS, PIPELINES
from msseg.models.builder import BACKBONES, HEADS, LOSSES, NECKS, PIXEL_SAMPLERS, SEGMENTORS
from msseg.models.layers import (
    ACTIVATION_LAYERS,
    CONV_LAYERS,
    NORM_LAYERS,
    TRANSFORMER_LAYERS,
    Conv2d,
)
from msseg.models.segmentors.inference_options import test_cfg as read_test_cfg
from msseg.runner import HOOKS, OPTIMIZER_CONSTRUCTORS, OPTIMIZERS, RUNNERS, GradClip
from msseg.runner.hooks import CheckpointHook, EvalHook, LrUpdaterHook
from msseg.runner.loss_scaler import LossScale, LossScaler
from msseg.runner.schedules import get_policy
from msseg.utils.arguments import (
    File,
    NonEmpty,
    PositiveInt,
    Seed,
    accepted_arguments,
    argument_hints,
    named_arguments,
)
from msseg.utils.device_settings import apply_device_settings
from msseg.utils.errors import UserKeyError, UserValueError
from msseg.utils.logging import log_early

TOP_LEVEL = {
    'model': 'the segmentor',
    'train_cfg': "the model's train_cfg, as in old configs",
    'test_cfg': "the model's test_cfg, as in old configs",
    'data': 'data sets and loaders',
    'optimizer': 'optimizer, learning rate, weight decay, constructor and paramwise_cfg',
    'optimizer_config': 'grad_clip, and cumulative_iters: batches whose gradients make one update',
    'lr_config': 'learning-rate policy and warm-up',
    'runner': 'IterBasedRunner with max_iters, or EpochBasedRunner with max_epochs',
    'checkpoint_config': 'when to save and how many checkpoints to keep',
    'evaluation': 'when to evaluate, what, and which score decides the best checkpoint',
    'log_config': 'interval and hooks that log',
    'log_level': "level of the package's logger",
    'custom_hooks': 'more hooks',
    'auto_scale_lr': 'learning rate by the batch of all devices',
    'custom_imports': 'modules with components of your own',
    'work_dir': 'folder of logs and checkpoints',
    'load_from': 'checkpoint whose weights to start from',
    'load_partial_backbone': 'start even when fewer than half of the backbone are in that file',
    'load_first_conv': 'how it adapts to other numbers of channels: repeat, mean; None: not at all',
    'resume_from': 'checkpoint to resume',
    'seed': 'seed of weights, order and augmentation',
    'workflow': "only [('train', 1)]: `evaluation` configures evaluation",
    'dist_params': 'ignored: MindSpore chooses the backend',
    'fp16': "float16 with a loss scale: loss_scale='dynamic', a number, or its settings",
    'bf16': 'bfloat16, by an empty dict',
    'cudnn_benchmark': 'ignored: a PyTorch setting',
    'find_unused_parameters': 'ignored: a PyTorch setting',
    'opencv_num_threads': 'ignored: loading uses processes',
    'mp_start_method': 'ignored: the loader chooses how its processes start',
    'gpu_ids': 'ignored: see --device-id',
    'device': 'jit_level, precision_mode, allow_hf32, max_memory of a card; a name: see --device',
    'auto_resume': 'ignored: see --auto-resume',
    'aug_test': '`pipeline`: the test pipeline of `msseg test --aug-test`',
}
_TOP_LEVEL_HINTS = {
    'work_dir': File | None,
    'load_from': File | None,
    'resume_from': File | None,
    'load_partial_backbone': bool,
    'load_first_conv': Literal['repeat', 'mean'] | None,
    'seed': Seed | None,
    'log_level': str | int,
    'workflow': Sequence | None,
    'train_cfg': Mapping | None,
}
_SPLITS = ('train', 'val', 'test')
_LOADERS = tuple(f'{split}_dataloader' for split in _SPLITS)
_LOADER_ONLY = ('drop_last', 'dist', 'persistent_workers', 'pin_memory', 'prefetch_factor')
MEANINGLESS = {
    **{key: text[9:] for key, text in TOP_LEVEL.items() if text.startswith('ignored: ')},
    'device': 'see --device',  # a name; settings are a dict
    'evaluation.pre_eval': 'memory never grows with the number of images',
    'evaluation.efficient_test': 'memory never grows with the number of images',
    'optimizer_config.distributed': 'gradients are averaged whenever there are several devices',
    **{
        f'optimizer_config.{key}': 'a PyTorch setting'
        for key in ('coalesce', 'bucket_size_mb', 'detect_anomalous_params')
    },
    'checkpoint_config.create_symlink': 'the file last_checkpoint names the newest',
    **{f'data.{loader}.{key}': 'a PyTorch setting' for loader in _LOADERS for key in _LOADER_ONLY},
}


def load_config(
    filename: str,
    cfg_options: Mapping[str, Any] | None = None,
    parts: Iterable[str] | None = None,
) -> Config:
    """Read a config, apply ``--cfg-options``, import its modules and check every key.

    Args:
        filename: Path of the config, or the name of one of msseg's own.
        cfg_options: Values by dotted key.
        parts: Top-level keys to check, all by default; () checks the options only.

    Returns:
        The config, without the keys that have no meaning here.

    Examples:
        >>> from pathlib import Path
        >>> _ = Path('sgd.py').write_text("optimizer = dict(type='SGD', lr=0.1)")
        >>> load_config('sgd.py', {'optimizer.lr': 0.2}).optimizer.lr
        0.2
        >>> load_config('sgd.py', {'optimizer.momentun': 0.9})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        msseg.utils.errors.UserKeyError: --cfg-options optimizer.momentun: ... mean 'momentum'?
    """
    cfg = Config.fromfile(filename, import_custom_modules=False)
    return prepare_config(cfg, cfg_options, parts)


def prepare_config(
    cfg: Config,
    cfg_options: Mapping[str, Any] | None = None,
    parts: Iterable[str] | None = None,
) -> Config:
    """Check a config as `load_config` does after reading it; see it for the arguments."""
    lay_options(cfg, cfg_options)
    if parts != ():
        schema = get_schema()
        check_config(cfg, schema, parts)
        drop_meaningless(cfg, schema)
    return cfg


def lay_options(cfg: Config, cfg_options: Mapping[str, Any] | None) -> None:
    """Apply ``--cfg-options`` to a config, import its modules and check the options' keys."""
    for line in cfg.translation_report:
        log_early(f'{cfg.filename}: {line}')
    _refuse_translated_keys(cfg, cfg_options or ())
    schema = get_schema()
    pipelines = _pipelines(cfg)
    drop_variables(cfg, schema)
    _expand_data_yamls(cfg, pipelines)
    before = copy.deepcopy(cfg)
    if cfg_options:
        cfg.merge_from_dict(cfg_options)
        _expand_data_yamls(cfg, pipelines)
    cfg.import_custom_modules()
    check_options(before, cfg, cfg_options or (), schema)


def _pipelines(cfg: Config) -> dict[str, Any]:
    """Return the pipelines of data sets that are named by a data YAML alone, by split."""
    test = cfg.get('test_pipeline')
    found = {'train': cfg.get('train_pipeline'), 'val': cfg.get('val_pipeline', test), 'test': test}
    data = cfg.get('data')
    for split in _SPLITS if isinstance(data, Mapping) else ():
        node = data.get(split)
        if isinstance(node, Mapping) and node.get('pipeline'):
            found[split] = node['pipeline']
    return found


def _expand_data_yamls(cfg: Config, pipelines: Mapping[str, Any]) -> None:
    """Put a YamlDataset where ``data.train`` and the like name a data YAML."""

    def expanded(node: Any, split: str, key: str) -> Any:
        if isinstance(node, str) and node.endswith(('.yaml', '.yml')):
            if not pipelines[split]:
                where = "dict(type='YamlDataset', data=…, pipeline=[…])"
                raise UserValueError(
                    key=key, got=node, expected=f'{split}_pipeline in the config too, or {where}'
                )
            return dict(type='YamlDataset', data=node, part=split, pipeline=pipelines[split])
        if isinstance(node, (list, tuple)):
            new = [expanded(each, split, f'{key}[{i}]') for i, each in enumerate(node)]
            return new if any(a is not b for a, b in zip(new, node, strict=True)) else node
        for inner in ('dataset', 'datasets') if isinstance(node, Mapping) else ():
            new = expanded(node.get(inner), split, f'{key}.{inner}')
            if new is not node.get(inner):  # a node knows the file that set it
                node[inner] = new
        return node

    data = cfg.get('data')
    for split in _SPLITS if isinstance(data, Mapping) else ():
        new = expanded(data.get(split), split, f'data.{split}')
        if new is not data.get(split):
            data[split] = new


def _refuse_translated_keys(cfg: Config, options: Iterable[str]) -> None:
    """Raise KeyError for an option in the language of a file that has been translated."""
    for option in options if cfg.translation_report else ():
        first = split_key(option)[0]
        place = place_of(first)
        if place is not None and first not in cfg:
            raise UserKeyError(
                f"{first} is MMSegmentation 1.x's key, and the config has been translated",
                key=option,
                who=f'--cfg-options {option}',
                advice=f'set {place} in its place (msseg print-config shows all keys)',
            )


@functools.cache
def get_schema() -> Schema:
    """Return the schema of configs."""
    return Schema(
        top_level=TOP_LEVEL,
        hints=_TOP_LEVEL_HINTS,
        by_path={**_data_rules(), **_training_rules(), **_MODEL_RULES},
        by_key={**_LAYER_RULES, 'dataset': _dataset, 'datasets': _dataset},
        registries=(HEADS, LOSSES, BACKBONES, NECKS, DATASETS, PIPELINES, HOOKS),
        meaningless=MEANINGLESS,
        plain=frozenset({'fp16.loss_scale', 'optimizer_config.loss_scale'}),
        lists=frozenset({*(f'data.{split}' for split in _SPLITS), 'custom_hooks',
                         'log_config.hooks'}),
    )  # fmt: skip


_test_cfg = takes('inference', read_test_cfg, without=['num_channels'])
_MODEL_RULES = {'model': registered(SEGMENTORS), 'model.test_cfg': _test_cfg, 'test_cfg': _test_cfg}
_LAYER_RULES = {
    'backbone': registered(BACKBONES),
    'neck': registered(NECKS),
    'decode_head': registered(HEADS),
    'auxiliary_head': registered(HEADS),
    'kernel_generate_head': registered(HEADS),
    'kernel_update_head': registered(HEADS),
    'kernel_updator_cfg': registered(TRANSFORMER_LAYERS),
    'loss_decode': registered(LOSSES),
    'sampler': registered(PIXEL_SAMPLERS),
    'pipeline': registered(PIPELINES),
    'transforms': registered(PIPELINES),
    'norm_cfg': registered(NORM_LAYERS, ['num_features'], requires_grad=bool),
    'act_cfg': registered(ACTIVATION_LAYERS, inplace=bool),
    'ffn_act_cfg': registered(ACTIVATION_LAYERS, inplace=bool),
    'conv_cfg': registered(CONV_LAYERS, without=named_arguments(Conv2d)),
}
# in a config a list of folders stands for a data set of each
_folders = File | Sequence[File | None] | None
_dataset = registered(
    DATASETS,
    separate_eval=bool,
    img_dir=_folders,
    ann_dir=_folders,
    split=_folders,
    pipeline=NonEmpty[Mapping | Callable],
)


def _data_rules() -> dict[str, Rule]:
    of_program = ('dataset', 'seed', 'rank', 'world_size')
    nodes = dict.fromkeys((*_SPLITS, *_LOADERS), Any)
    loader = takes('the data loader', TrainLoader, without=of_program)
    return {
        'data': takes('data', TrainLoader, without=[*of_program, 'shuffle'], **nodes),
        **{f'data.{split}': _dataset for split in _SPLITS},
        **{f'data.{name}': loader for name in _LOADERS},
    }


def _training_rules() -> dict[str, Rule]:
    scale = takes('loss_scale', LossScaler)
    hook = registered(HOOKS, priority=int | str)
    of_program = ('train_step', 'model', 'loader', 'work_dir', 'logger', 'meta')
    return {
        'runner': registered(RUNNERS, without=of_program),
        'aug_test': takes('aug_test', pipeline=NonEmpty[Mapping | Callable]),
        'custom_hooks': hook,
        'log_config.hooks': hook,
        'optimizer': _optimizer,
        'lr_config': _lr_config,
        'checkpoint_config': takes('checkpoint_config', CheckpointHook),
        'evaluation': takes(
            'evaluation',
            EvalHook,
            without=['evaluate', 'reported', 'coverage'],
            metric=str | NonEmpty[str],
            loss=bool,
        ),
        'optimizer_config': takes(
            'optimizer_config',
            type=str,
            grad_clip=Mapping | None,
            cumulative_iters=PositiveInt,
            loss_scale=LossScale,
        ),
        'optimizer_config.grad_clip': takes('grad_clip', GradClip),
        'optimizer_config.loss_scale': scale,
        'fp16': takes('fp16', loss_scale=LossScale),
        'fp16.loss_scale': scale,
        'bf16': takes('bf16'),
        'device': takes('device', apply_device_settings),
        'optimizer.paramwise_cfg.custom_keys': takes_anything,
        'log_config': takes('log_config', interval=PositiveInt, hooks=Any),
        'auto_scale_lr': takes('auto_scale_lr', enable=bool, base_batch_size=PositiveInt),
        'custom_imports': takes(
            'custom_imports', imports=str | Sequence[str], allow_failed_imports=bool
        ),
    }


def _optimizer(node: Mapping[str, Any]) -> Accepts | None:
    hints = {'paramwise_cfg': Mapping | None, 'constructor': str}
    accepts = registered(OPTIMIZERS, without=['params'], **hints)(node)
    kind = node.get('constructor') or 'DefaultOptimizerConstructor'
    of_constructor = registered(OPTIMIZER_CONSTRUCTORS)({'type': kind})

    def paramwise(_: Mapping[str, Any]) -> Accepts:
        keys = of_constructor.keys
        return replace(of_constructor, keys=keys and keys - {'type'})

    return accepts and replace(accepts, inside={'paramwise_cfg': paramwise})


def _lr_config(node: Mapping[str, Any]) -> Accepts:
    policy = node.get('policy')
    if not isinstance(policy, str):
        raise KeyError(f"lr_config.policy is {policy!r}, expected a name such as 'poly'")
    schedule = get_policy(policy)
    arguments = accepted_arguments(schedule) - {'base_lr', 'progress', 'total'}
    own = named_arguments(LrUpdaterHook)
    hints = {**argument_hints(schedule), **argument_hints(LrUpdaterHook)}
    return Accepts(f'policy {policy!r}', frozenset({*own, *arguments}), hints)
