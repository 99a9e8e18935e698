"""Training from a config, readable from top to bottom: build, register hooks, start, run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from mindspore import nn

from msseg.apis.build import (
    build_model,
    build_split,
    build_train_step,
    check_classes,
    check_fit,
    graph_settings,
)
from msseg.apis.config_schema import get_schema
from msseg.apis.evaluate import Evaluation, ResultHandler, evaluate, evaluation_keys, scoring
from msseg.apis.evaluation_pictures import EvaluationPictures
from msseg.apis.memory_hook import BatchCheckHook, MemoryEstimateHook
from msseg.apis.resume import choose_checkpoint, choose_seed, load_start, report_changes
from msseg.apis.train_settings import EvaluationSettings, HookSettings, TrainSettings
from msseg.apis.work_dir import (
    check_start,
    collect_manifest,
    held_work_dir,
    write_manifest,
    write_resolved_config,
)
from msseg.config import Config
from msseg.config.checking import drop_meaningless
from msseg.datasets import CustomDataset, EvalLoader, TrainLoader
from msseg.inference.inferencer import Inferencer
from msseg.inference.validation_loss import LossInferencer, check_single_view
from msseg.registry import build_from_cfg
from msseg.runner import RUNNERS, Runner
from msseg.runner.hooks import IterTimerHook, NaNGuardHook, ProgressHook, StopSignalHook
from msseg.runner.optimizer import unused_custom_keys
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
from msseg.utils.layer_traits import running_statistics
from msseg.utils.logging import close_logging, get_logger, log_to_file, setup_logging
from msseg.utils.stop_signals import StopSignals

# Checks a config and its data sets by split before training, and logs problems, such as
# `msseg.checks.start.check_before_training`.
StartCheck = Callable[[Config, Mapping[str, CustomDataset | None]], None]

# between those of register_hooks that evaluate and save
_AFTER_EVALUATION = 80


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
    """Build, train, evaluate and save as a config specifies.

    With several processes each trains on its own samples, and rank 0 writes. SIGINT, SIGTERM and
    SIGUSR1 end the run after the current iteration, with a checkpoint; the runner's ``stop_reason``
    names the signal.

    Args:
        cfg: The config, already checked.
        work_dir: Folder for logs and checkpoints; by default the config's ``work_dir``, or
            ``work_dirs/{config's name}``.
        device: See `setup_device`.
        device_id: See `setup_device`.
        seed: Seed of weights, order and augmentation; by default the config's, or that of the
            resumed checkpoint, or a random one.
        deterministic: See `setup_device`.
        validate: Evaluate while training, as ``evaluation`` specifies.
        auto_resume: Resume the work dir's newest checkpoint, if there is one.
        launcher: See `init_dist`.
        print_config: Print the resolved config to the console, too; the log file always has it.
        start_check: Called on rank 0 with the config and the data sets by split (None for an unused
            one) before the network is compiled.

    Returns:
        The runner, after training.
    """
    device = setup_device(device, device_id, launcher, cfg.get('device'), deterministic)
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
            set_seed(cfg.seed)
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
        cfg: The config, for everything else: loader, optimizer, schedule, hooks, evaluation.
        work_dir: Folder for logs and checkpoints, locked against a second training in it.
        validate: Evaluate on ``data.val`` while training.
        timestamp: First part of the log files' names; now by default.
        start_check: See `train_from_config`.

    Returns:
        The runner, after training.
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
    """Train in a locked work dir; see `train_segmentor`."""
    drop_meaningless(cfg, get_schema())
    settings = TrainSettings.of(cfg)
    check_fit(model, dataset)
    datasets = {'train': dataset, 'val': build_split(cfg, 'val') if validate else None}
    runner = build_runner(model, dataset, settings, work_dir)
    runner.timestamp = timestamp or runner.timestamp
    if get_rank() == 0 and start_check is not None:
        start_check(cfg, datasets)
    signals = StopSignals(leaves_loading=get_world_size() == 1)
    evaluation = None
    if validate:
        pictures = EvaluationPictures(datasets['val'], lambda: runner.num_pictures)
        runner.pictures = pictures.pictures
        evaluation = evaluation_of(
            model, datasets['val'], settings.evaluation, signals.came, [pictures.add]
        )
    register_hooks(runner, settings.hooks, evaluation)
    runner.register_hook(StopSignalHook(signals), _AFTER_EVALUATION)
    if get_rank() == 0:
        runner.meta.update(_record_run(settings, work_dir, datasets))
    load_start(runner, settings.start)
    broadcast_parameters([*model.get_parameters(), *runner.state_parameters().values()])
    try:
        with signals:
            runner.run()
    finally:
        runner.loader.close()
    return runner


def build_runner(
    model: nn.Cell, dataset: CustomDataset, settings: TrainSettings, work_dir: str | Path
) -> Runner:
    """Build the loader, the training step and the runner, without hooks."""
    loader = TrainLoader(
        dataset,
        **asdict(settings.loader),
        seed=settings.seed or 0,
        rank=get_rank(),
        world_size=get_world_size(),
    )
    paramwise = settings.step.optimizer.get('paramwise_cfg')
    for key, hint in unused_custom_keys(model, paramwise).items():
        text = 'optimizer.paramwise_cfg.custom_keys: %r is part of no trainable parameter.%s'
        get_logger().warning(text, key, hint)
    meta = {
        'seed': settings.seed,
        'CLASSES': list(dataset.CLASSES),
        'PALETTE': [[int(value) for value in colour] for colour in dataset.PALETTE or []],
        'ignore_index': getattr(dataset, 'ignore_index', None),
        'config': settings.config_text,
        'exp_name': settings.config_name,
        'versions': collect_versions(),
    }
    arguments = {
        'train_step': build_train_step(model, settings.step),
        'model': model,
        'loader': loader,
        'work_dir': work_dir,
        'logger': get_logger(),
        'meta': meta,
    }
    runner = build_from_cfg(settings.runner, RUNNERS, arguments)
    runner.settings = settings.shown
    return runner


def register_hooks(runner: Runner, hooks: HookSettings, evaluation: dict | None) -> None:
    """Register the hooks of a run, in the order of their work on an iteration.

    First the learning rate; then, after the step, the loss guard and the clock; then users' hooks;
    then the loggers, the evaluation, and last the checkpoint, which thus holds the newest score.
    """
    by_epoch = {'by_epoch': runner.by_epoch}
    runner.register_hook(hooks.schedule, 'VERY_HIGH', type='LrUpdaterHook')
    for guard in hooks.guards or [NaNGuardHook()]:
        runner.register_hook(guard, 'HIGH')
    for hook in (IterTimerHook(), BatchCheckHook(), MemoryEstimateHook(), ProgressHook()):
        runner.register_hook(hook, 'ABOVE_NORMAL')
    for hook in hooks.custom:
        runner.register_hook(hook)
    interval = {} if hooks.log_interval is None else {'interval': hooks.log_interval}
    for hook in hooks.loggers:
        runner.register_hook(hook, 'BELOW_NORMAL', **by_epoch, **interval)
    if evaluation is not None:
        runner.register_hook(evaluation, 'LOW', **by_epoch, type='EvalHook')
    if hooks.checkpoint is not None:
        runner.register_hook(hooks.checkpoint, 'VERY_LOW', **by_epoch, type='CheckpointHook')


def evaluation_of(
    model: nn.Cell,
    dataset: CustomDataset,
    settings: EvaluationSettings,
    is_over: Callable[[], bool] = lambda: False,
    handlers: Sequence[ResultHandler] = (),
) -> dict:
    """Return the arguments of `EvalHook`: the settings', and a function that evaluates.

    Args:
        model: The segmentor.
        dataset: The images of ``data.val``.
        settings: The metrics, whether to report losses, and the other arguments.
        is_over: Whether to interrupt an evaluation, called after each image.
        handlers: What else takes the predictions.
    """
    check_classes(model, dataset)
    with scoring(dataset, settings.metrics):
        pass  # obstacles to an evaluation are errors now
    _, *views, _ = EvalLoader(dataset, 0, with_labels=False).load(0)
    reported = evaluation_keys(dataset, settings.metrics)
    if settings.with_loss:
        inferencer = LossInferencer(model)
        check_single_view(*views)
        reported += ['loss', *inferencer.names]
    else:
        inferencer = Inferencer(model)
    newest: list[Evaluation] = []

    def evaluate_now() -> dict[str, float] | None:
        # Without SyncBN each device has its own statistics; rank 0's are those that are saved.
        broadcast_parameters(running_statistics(model))
        loading = settings.loader.for_evaluation
        scores = evaluate(
            inferencer, dataset, metrics=settings.metrics, is_over=is_over, handlers=handlers,
            **loading,
        )  # fmt: skip
        if scores is None:
            get_logger().info('evaluation interrupted, to be done when the run goes on')
            return None
        newest[:] = [scores]
        get_logger().info('%s', scores.table())
        return scores.as_dict()

    return {
        **settings.hook,
        'evaluate': evaluate_now,
        'reported': reported,
        'coverage': lambda key: newest[0].coverage(key),
    }


def _record_run(
    settings: TrainSettings, work_dir: Path, datasets: Mapping[str, CustomDataset | None]
) -> dict:
    """Write the manifest, warn of changes since the resumed checkpoint, and return the manifest."""
    there = {split: dataset for split, dataset in datasets.items() if dataset is not None}
    manifest = collect_manifest(settings.config_text, settings.seed, there)
    resumed = settings.start.resume_from
    write_manifest(work_dir, {**manifest, 'resume_from': resumed})
    if resumed is not None:
        report_changes(resumed, manifest)
    return manifest
