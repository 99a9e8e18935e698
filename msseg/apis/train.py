"""Training from a config."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from mindspore import nn

from msseg.apis.build import (
    build_model,
    build_split,
    check_channels,
    check_classes,
    check_ignore_index,
    graph_settings,
    loader_options,
)
from msseg.apis.config_schema import get_schema
from msseg.apis.evaluate import Evaluation, evaluate, evaluation_keys, scoring
from msseg.apis.manifest import collect_manifest, write_manifest
from msseg.apis.memory_hook import MemoryEstimateHook
from msseg.apis.optimization import build_train_step
from msseg.apis.resume import choose_checkpoint, choose_seed, load_start, report_changes
from msseg.apis.work_dir import check_start, held_work_dir, write_resolved_config
from msseg.config import Config, required
from msseg.config.checking import drop_meaningless
from msseg.datasets import CustomDataset, EvalLoader, TrainLoader
from msseg.inference.inferencer import Inferencer
from msseg.inference.validation_loss import LossInferencer, check_single_view
from msseg.registry import build_from_cfg
from msseg.runner import RUNNERS, Runner
from msseg.runner.hooks import (
    IterTimerHook,
    NaNGuardHook,
    ProgressHook,
    StopSignalHook,
)
from msseg.runner.optimizer import unused_custom_keys
from msseg.utils.arguments import check_value
from msseg.utils.device import (
    collect_versions,
    describe_environment,
    separate_compile_cache,
    set_seed,
    setup_device,
)
from msseg.utils.dist import (
    broadcast_object,
    broadcast_parameters,
    get_rank,
    get_world_size,
    init_dist,
)
from msseg.utils.logging import close_logging, get_logger, log_to_file, setup_logging
from msseg.utils.stop_signals import StopSignals

# What looks at a config and its data sets by split before training, and logs what is wrong: see
# `msseg.checks.start.check_before_training`.
StartCheck = Callable[[Config, Mapping[str, CustomDataset | None]], None]

# between the hooks of register_hooks that evaluate and save
_AFTER_EVALUATION = 80
_STATISTICS = ('moving_mean', 'moving_variance')


def train_from_config(
    cfg: Config,
    work_dir: str | Path | None = None,
    device: str = 'auto',
    device_id: int | None = None,
    seed: int | None = None,
    deterministic: bool = False,
    validate: bool = True,
    auto_resume: bool = False,
    launcher: str = 'none',
    print_config: bool = False,
    start_check: StartCheck | None = None,
) -> Runner:
    """Do what a config says: build, train, evaluate, save.

    Of several processes all train, on samples of their own, and rank 0 writes. SIGINT, SIGTERM and
    SIGUSR1 end it after the iteration, saved; the runner's ``stop_reason`` says it.

    Args:
        cfg: The config, already checked.
        work_dir: Folder for logs and checkpoints; by default the config's ``work_dir``, or
            ``work_dirs/{config's name}``.
        device: See `setup_device`.
        device_id: See `setup_device`.
        seed: Of weights, order and augmentation; by default the config's, or that of the
            checkpoint to go on from, or a random one.
        deterministic: See `set_seed`.
        validate: Evaluate while training, as ``evaluation`` says.
        auto_resume: Go on from the work dir's newest checkpoint, if there is one.
        launcher: See `init_dist`.
        print_config: Show the resolved config on the console too, not in the log file alone.
        start_check: Called on rank 0 with the config and the data sets by split (None for one that
            is not used), before anything is compiled; `msseg.checks.start.check_before_training`
            in tools/train.py.

    Returns:
        The runner, after training.
    """
    device = setup_device(device, device_id, launcher)
    init_dist(launcher)
    with held_work_dir(cfg, work_dir) as folder:
        timestamp = broadcast_object(time.strftime('%Y%m%d_%H%M%S'))
        logger = setup_logging(folder / f'{timestamp}.log', cfg.get('log_level', 'INFO'))
        try:
            resumed = choose_checkpoint(cfg, folder, auto_resume)
            if resumed is None:
                check_start(cfg, folder)
            cfg.seed = choose_seed(cfg.get('seed') if seed is None else seed, resumed)
            if get_rank() == 0:
                write_resolved_config(cfg, folder, timestamp)
            logger.info('%s', describe_environment(device))
            log_config = logger.info if print_config else log_to_file
            log_config('config %s:\n%s', cfg.filename, cfg.pretty_text)
            logger.info('seed %d%s', cfg.seed, ', deterministic' if deterministic else '')
            set_seed(cfg.seed, deterministic)
            separate_compile_cache('train', graph_settings(cfg), validate, get_world_size())
            if resumed is not None:
                cfg.resume_from = resumed
            dataset = build_split(cfg, 'train')
            model = build_model(cfg)
            return _train(model, dataset, cfg, folder, validate, timestamp, start_check)
        finally:
            close_logging()


def train_segmentor(
    model: nn.Cell,
    dataset: CustomDataset,
    cfg: Config,
    work_dir: str | Path,
    validate: bool = True,
    timestamp: str | None = None,
    start_check: StartCheck | None = None,
) -> Runner:
    """Train a model on a data set.

    Args:
        model: The segmentor.
        dataset: The training images.
        cfg: For everything else: loader, optimizer, schedule, hooks, evaluation, checkpoints.
        work_dir: Folder for logs and checkpoints; made, and held against a second training in it.
        validate: Evaluate on ``data.val`` while training.
        timestamp: Start of the log files' names; now by default.
        start_check: See `train_from_config`.

    Returns:
        The runner, after training.

    Raises:
        OSError: The work dir cannot be written, or another training holds it.
    """
    with held_work_dir(cfg, work_dir) as folder:
        return _train(model, dataset, cfg, folder, validate, timestamp, start_check)


def _train(
    model: nn.Cell,
    dataset: CustomDataset,
    cfg: Config,
    work_dir: Path,
    validate: bool,
    timestamp: str | None,
    start_check: StartCheck | None,
) -> Runner:
    """Train in a work dir that is held; see `train_segmentor`."""
    refuse_unsupported(cfg)
    drop_meaningless(cfg, get_schema())
    check_classes(model, dataset)
    check_ignore_index(model, dataset)
    check_channels(model, dataset)
    runner = build_runner(model, dataset, cfg, work_dir)
    runner.timestamp = timestamp or runner.timestamp
    signals = StopSignals(leaves_loading=get_world_size() == 1)
    val = build_split(cfg, 'val') if validate else None
    if get_rank() == 0 and start_check is not None:
        start_check(cfg, {'train': dataset, 'val': val})
    register_hooks(runner, cfg, evaluation_of(model, cfg, signals.came, val) if validate else None)
    runner.register_hook(StopSignalHook(signals), _AFTER_EVALUATION)
    if get_rank() == 0:
        runner.meta.update(_describe(cfg, work_dir, {'train': dataset, 'val': val}))
    load_start(runner, cfg)
    broadcast_parameters([*model.get_parameters(), *runner.state_parameters().values()])
    try:
        with signals:
            runner.run()
    finally:
        runner.loader.close()
    return runner


def _describe(
    cfg: Config, work_dir: str | Path, datasets: Mapping[str, CustomDataset | None]
) -> dict:
    """Write the manifest, say what has changed since the checkpoint, and return the manifest."""
    manifest = collect_manifest(
        cfg, {split: data for split, data in datasets.items() if data is not None}
    )
    write_manifest(work_dir, {**manifest, 'resume_from': cfg.get('resume_from')})
    if cfg.get('resume_from'):
        report_changes(cfg.resume_from, manifest)
    return manifest


def refuse_unsupported(cfg: Config) -> None:
    """Raise ValueError for a setting of MMSegmentation that would change the training done here."""
    workflow = [list(phase) for phase in cfg.get('workflow') or [('train', 1)]]
    if workflow != [['train', 1]]:
        raise ValueError(
            f"workflow={cfg.workflow!r}: only [('train', 1)] is done; evaluation is set by "
            "'evaluation'"
        )


def build_runner(
    model: nn.Cell, dataset: CustomDataset, cfg: Config, work_dir: str | Path
) -> Runner:
    """Build the loader, the training step and the runner, without hooks."""
    loader = TrainLoader(
        dataset,
        **loader_options(cfg, 'train'),
        seed=cfg.get('seed') or 0,
        rank=get_rank(),
        world_size=get_world_size(),
    )
    paramwise = cfg.optimizer.get('paramwise_cfg') if cfg.get('optimizer') else None
    for key, hint in unused_custom_keys(model, paramwise).items():
        get_logger().warning(
            'optimizer.paramwise_cfg.custom_keys: %r is part of no trainable parameter.%s',
            key,
            hint,
        )
    meta = {
        'seed': cfg.get('seed'),
        'CLASSES': list(dataset.CLASSES),
        'PALETTE': [[int(value) for value in colour] for colour in dataset.PALETTE or []],
        'ignore_index': getattr(dataset, 'ignore_index', None),
        'config': cfg.pretty_text,
        'exp_name': Path(cfg.filename).name if cfg.filename else None,
        'versions': collect_versions(),
    }
    runner_args = {
        'train_step': build_train_step(
            model, cfg, any(guard.get('policy') == 'skip' for guard in own_guards(cfg))
        ),
        'model': model,
        'loader': loader,
        'work_dir': work_dir,
        'logger': get_logger(),
        'meta': meta,
    }
    return build_from_cfg(required(cfg, 'runner'), RUNNERS, runner_args)


def register_hooks(runner: Runner, cfg: Config, evaluation: dict | None) -> None:
    """Register the hooks of a config, in the order in which they must see an iteration.

    First the learning rate; then, after the step, the loss guard and the clock; then users' hooks;
    then the loggers, the evaluation, and last the checkpoint, which so holds the newest best score.
    """
    by_epoch = {'by_epoch': runner.by_epoch}
    runner.register_hook(required(cfg, 'lr_config'), 'VERY_HIGH', type='LrUpdaterHook')
    guards = own_guards(cfg)
    for guard in guards or [NaNGuardHook()]:
        runner.register_hook(guard, 'HIGH')
    runner.register_hook(IterTimerHook(), 'ABOVE_NORMAL')
    runner.register_hook(MemoryEstimateHook(), 'ABOVE_NORMAL')
    runner.register_hook(ProgressHook(), 'ABOVE_NORMAL')
    for hook in cfg.get('custom_hooks') or []:
        if hook not in guards:
            runner.register_hook(hook)
    log_config = cfg.get('log_config') or {}
    for hook in log_config.get('hooks', [{'type': 'TextLoggerHook'}]):
        interval = {'interval': log_config['interval']} if 'interval' in log_config else {}
        runner.register_hook(hook, 'BELOW_NORMAL', **by_epoch, **interval)
    if evaluation is not None:
        runner.register_hook(evaluation, 'LOW', **by_epoch, type='EvalHook')
    checkpoint = cfg.get('checkpoint_config')
    if checkpoint is not None:
        runner.register_hook(checkpoint, 'VERY_LOW', **by_epoch, type='CheckpointHook')


def own_guards(cfg: Config) -> list[dict]:
    """Return those of ``custom_hooks`` that stand in the place of the loss guard of every run."""
    hooks = [hook for hook in cfg.get('custom_hooks') or [] if isinstance(hook, Mapping)]
    return [hook for hook in hooks if hook.get('type') == 'NaNGuardHook']


def evaluation_of(
    model: nn.Cell,
    cfg: Config,
    is_over: Callable[[], bool] = lambda: False,
    dataset: CustomDataset | None = None,
) -> dict:
    """Return EvalHook's arguments: the config's, and a function that evaluates on ``data.val``.

    Args:
        model: The segmentor.
        cfg: The config.
        is_over: Whether to interrupt an evaluation, asked after each image.
        dataset: The images of ``data.val``; built when they are not given.
    """
    options = (cfg.get('evaluation') or {}).copy()
    metrics, with_loss = options.pop('metric', 'mIoU'), options.pop('loss', False)
    check_value(with_loss, bool, 'loss', 'evaluation')
    dataset = build_split(cfg, 'val') if dataset is None else dataset
    check_classes(model, dataset)
    with scoring(dataset, metrics):
        pass  # what hinders evaluation is said now
    _, *views, _ = EvalLoader(dataset, 0, with_labels=False).load(0)
    reported = evaluation_keys(dataset, metrics)
    if with_loss:
        inferencer = LossInferencer(model)
        check_single_view(*views)
        reported += ['loss', *inferencer.names]
    else:
        inferencer = Inferencer(model)
    loading = loader_options(cfg, 'val')
    newest: list[Evaluation] = []

    def evaluate_now() -> dict[str, float] | None:
        # Without SyncBN each device has statistics of its own; rank 0's are those that are saved.
        broadcast_parameters(p for p in model.get_parameters() if p.name.endswith(_STATISTICS))
        scores = evaluate(inferencer, dataset, metrics=metrics, is_over=is_over, **loading)
        if scores is None:
            get_logger().info('evaluation interrupted, to be done when the run goes on')
            return None
        newest[:] = [scores]
        get_logger().info('%s', scores.table())
        return scores.as_dict()

    options['evaluate'], options['reported'] = evaluate_now, reported
    options['coverage'] = lambda key: newest[0].coverage(key)
    return options
