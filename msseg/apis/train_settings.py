"""Typed settings: the parts of a checked config, read once and handed down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from msseg.config import Config, required
from msseg.datasets.worker_pool import WORKER_TIMEOUT_S
from msseg.utils.arguments import PositiveInt, check_value
from msseg.utils.dist import get_world_size
from msseg.utils.errors import UserKeyError, expected_one_of
from msseg.utils.logging import get_logger
from msseg.utils.shown import without_secrets

# MMCV's optimizer hooks, and whether they ask for float16 with a loss scale.
OPTIMIZER_HOOKS = {
    'OptimizerHook': False,
    'GradientCumulativeOptimizerHook': False,
    'Fp16OptimizerHook': True,
    'GradientCumulativeFp16OptimizerHook': True,
}
DEFAULT_LOSS_SCALE = 512.0  # of MMCV's Fp16OptimizerHook


@dataclass(frozen=True)
class LoaderSettings:
    """Loading of a split: ``data``, overridden by ``data.{split}_dataloader``.

    Evaluation loads one image at a time and all of them in order, so that only `for_evaluation`
    applies to it.
    """

    samples_per_gpu: int = 1
    workers_per_gpu: int = 0
    worker_timeout: float = WORKER_TIMEOUT_S
    shuffle: bool = True

    @classmethod
    def of(cls, cfg: Config, split: str) -> LoaderSettings:
        """Read the settings of ``train``, ``val`` or ``test``.

        >>> data = dict(workers_per_gpu=4, train_dataloader=dict(samples_per_gpu=2))
        >>> LoaderSettings.of(Config(dict(data=data)), 'train').samples_per_gpu
        2
        """
        data = required(cfg, 'data')
        options = {**data, **data.get(f'{split}_dataloader', {})}
        return cls(**{f.name: options[f.name] for f in fields(cls) if f.name in options})

    @property
    def for_evaluation(self) -> dict[str, Any]:
        """The arguments of `msseg.apis.evaluate.predict_all`."""
        return {'workers_per_gpu': self.workers_per_gpu, 'worker_timeout': self.worker_timeout}


@dataclass(frozen=True)
class PrecisionSettings:
    """The float type of the network, and the loss scale with float16 (None without)."""

    dtype: str = 'float32'
    loss_scale: Any = None

    @classmethod
    def of(cls, cfg: Config | Mapping[str, Any]) -> PrecisionSettings:
        """Read ``fp16`` and ``bf16``, or MMCV's ``optimizer_config.type``."""
        options = cfg.get('optimizer_config') or {}
        kind = options.get('type', 'OptimizerHook')
        if kind not in OPTIMIZER_HOOKS:
            raise expected_one_of('optimizer_config.type', kind, OPTIMIZER_HOOKS, UserKeyError)
        fp16, has_bf16 = cfg.get('fp16'), cfg.get('bf16') is not None
        if fp16 is None and not OPTIMIZER_HOOKS[kind]:
            return cls('bfloat16' if has_bf16 else 'float32')
        if has_bf16:
            raise ValueError('fp16 and bf16 are both set: keep one')
        default = options.get('loss_scale', DEFAULT_LOSS_SCALE)
        return cls('float16', (fp16 or {}).get('loss_scale', default))


@dataclass(frozen=True)
class StepSettings:
    """The training step; see `TrainStep`."""

    optimizer: Mapping[str, Any]  # its config, with the final learning rate
    grad_clip: Mapping[str, Any] | None = None  # the arguments of GradClip
    cumulative_iters: int = 1
    loss_scale: Any = None
    skip_nonfinite: bool = False

    @classmethod
    def of(cls, cfg: Config) -> StepSettings:
        """Read ``optimizer``, ``auto_scale_lr``, ``optimizer_config``, ``fp16`` and the guard."""
        options = cfg.get('optimizer_config') or {}
        return cls(
            optimizer=scale_lr(cfg),
            grad_clip=options.get('grad_clip') or None,
            cumulative_iters=options.get('cumulative_iters', 1),
            loss_scale=PrecisionSettings.of(cfg).loss_scale,
            skip_nonfinite=any(guard.get('policy') == 'skip' for guard in _guards(cfg)),
        )


def scale_lr(cfg: Config) -> dict:
    """Return the optimizer's config, its learning rate scaled if ``auto_scale_lr`` asks for it.

    The rate is multiplied by the batch of all devices over ``base_batch_size``. Batches whose
    gradients are accumulated count once.

    Source: MMDetection 2.x with MMCV 1.7, ``auto_scale_lr`` in ``tools/train.py``.
    """
    optimizer = required(cfg, 'optimizer').copy()
    options = cfg.get('auto_scale_lr') or {}
    if not options.get('enable', False) or 'lr' not in optimizer:
        return optimizer
    base = options.get('base_batch_size')
    if base is None:
        raise ValueError(
            f'auto_scale_lr: base_batch_size is {base!r}, expected the batch size that '
            f'optimizer.lr={optimizer["lr"]!r} is meant for, as in '
            'auto_scale_lr=dict(enable=True, base_batch_size=16)'
        )
    check_value(base, PositiveInt, 'base_batch_size', 'auto_scale_lr')
    batch = LoaderSettings.of(cfg, 'train').samples_per_gpu * get_world_size()
    before, optimizer['lr'] = optimizer['lr'], optimizer['lr'] * batch / base
    get_logger().info(
        'learning rate %g, which is %g * %d / %d: the batch of all devices is %d, auto_scale_lr '
        'names %d', optimizer['lr'], before, batch, base, batch, base,
    )  # fmt: skip
    return optimizer


@dataclass(frozen=True)
class HookSettings:
    """The configs of the hooks that a config names."""

    schedule: Mapping[str, Any]
    guards: Sequence[Mapping[str, Any]] = ()  # those that replace the loss guard of every run
    custom: Sequence[Any] = ()
    loggers: Sequence[Any] = ()
    log_interval: int | None = None
    checkpoint: Mapping[str, Any] | None = None  # None saves nothing

    @classmethod
    def of(cls, cfg: Config) -> HookSettings:
        """Read ``lr_config``, ``custom_hooks``, ``log_config`` and ``checkpoint_config``."""
        log = cfg.get('log_config') or {}
        guards = _guards(cfg)
        return cls(
            schedule=required(cfg, 'lr_config'),
            guards=guards,
            custom=[hook for hook in cfg.get('custom_hooks') or [] if hook not in guards],
            loggers=log.get('hooks', [{'type': 'TextLoggerHook'}]),
            log_interval=log.get('interval'),
            checkpoint=cfg.get('checkpoint_config'),
        )


def _guards(cfg: Config) -> list[Mapping[str, Any]]:
    hooks = [hook for hook in cfg.get('custom_hooks') or [] if isinstance(hook, Mapping)]
    return [hook for hook in hooks if hook.get('type') == 'NaNGuardHook']


@dataclass(frozen=True)
class EvaluationSettings:
    """Evaluation while training: metrics, losses, the other arguments of `EvalHook`, loading."""

    metrics: str | Sequence[str]
    with_loss: bool
    hook: Mapping[str, Any]
    loader: LoaderSettings

    @classmethod
    def of(cls, cfg: Config) -> EvaluationSettings:
        """Read ``evaluation``."""
        options = dict(cfg.get('evaluation') or {})
        metrics, with_loss = options.pop('metric', 'mIoU'), options.pop('loss', False)
        check_value(with_loss, bool, 'loss', 'evaluation')
        return cls(metrics, with_loss, options, LoaderSettings.of(cfg, 'val'))


@dataclass(frozen=True)
class StartSettings:
    """The weights that training starts from."""

    resume_from: str | None = None
    load_from: str | None = None
    allow_partial_backbone: bool = False
    first_conv: str | None = 'repeat'  # see `adapt_first_convs`
    folders: Sequence[str | Path] = ()  # where to search for latest and best
    model: Mapping[str, Any] = field(default_factory=dict)  # to compare foreign models with

    @classmethod
    def of(cls, cfg: Config) -> StartSettings:
        """Read ``resume_from``, ``load_from``, ``load_partial_backbone``, ``load_first_conv``."""
        return cls(
            resume_from=cfg.get('resume_from') or None,
            load_from=cfg.get('load_from') or None,
            allow_partial_backbone=bool(cfg.get('load_partial_backbone')),
            first_conv=cfg.get('load_first_conv', cls.first_conv),
            folders=checkpoint_folders(cfg),
            model=cfg.get('model') or {},
        )


def work_dir_of(cfg: Config) -> Path | None:
    """Return a config's work dir: its ``work_dir``, else ``work_dirs/{config's name}``."""
    if cfg.get('work_dir'):
        return Path(cfg.work_dir)
    return Path('work_dirs') / Path(cfg.filename).stem if cfg.filename else None


def checkpoint_folders(cfg: Config, first: str | Path | None = None) -> list[str | Path]:
    """Return the folders in which a config's checkpoints may be, `first` before the others."""
    out_dir = (cfg.get('checkpoint_config') or {}).get('out_dir')
    return [folder for folder in (first, work_dir_of(cfg), out_dir) if folder]


@dataclass(frozen=True)
class TrainSettings:
    """Everything that training needs of a config, besides the model and the data sets."""

    runner: Mapping[str, Any]  # with the length of the run
    loader: LoaderSettings
    step: StepSettings
    hooks: HookSettings
    evaluation: EvaluationSettings
    start: StartSettings
    seed: int | None
    config_text: str  # for checkpoints
    config_name: str | None
    shown: Mapping[str, Any]  # the config by dotted key, without secrets

    @classmethod
    def of(cls, cfg: Config) -> TrainSettings:
        """Read a checked config."""
        refuse_unsupported(cfg)
        return cls(
            runner=required(cfg, 'runner'),
            loader=LoaderSettings.of(cfg, 'train'),
            step=StepSettings.of(cfg),
            hooks=HookSettings.of(cfg),
            evaluation=EvaluationSettings.of(cfg),
            start=StartSettings.of(cfg),
            seed=cfg.get('seed'),
            config_text=cfg.pretty_text,
            config_name=Path(cfg.filename).name if cfg.filename else None,
            shown=dict(_flatten(without_secrets(dict(cfg.items())), '')),
        )


def _flatten(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield dotted keys; values that are neither dicts nor single ones become text."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f'{prefix}{key}.')
        else:
            is_single = isinstance(value, (bool, int, float, str))
            yield f'{prefix}{key}', value if is_single else str(value)


def refuse_unsupported(cfg: Config) -> None:
    """Raise ValueError for a setting of MMSegmentation that would change the training done here."""
    workflow = [list(phase) for phase in cfg.get('workflow') or [('train', 1)]]
    if workflow != [['train', 1]]:
        raise ValueError(
            f"workflow={cfg.workflow!r}: only [('train', 1)] is done; evaluation is set by "
            "'evaluation'"
        )
