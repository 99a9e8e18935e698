"""Hooks, loggers and visualizers of MMSegmentation 1.x."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msseg.config.config_dict import ConfigDict
from msseg.config.mmseg1x.section import Section
from msseg.utils.arguments import NonNegative

_DEFAULTS = ConfigDict(
    logger=dict(type='LoggerHook'),
    checkpoint=dict(type='CheckpointHook', interval=1),
)
# Done by the runner itself, or without effect on weights and scores.
_BUILT_IN = ('IterTimerHook', 'ParamSchedulerHook', 'DistSamplerSeedHook', 'RuntimeInfoHook')
_MEANINGLESS = {
    'SegVisualizationHook': 'see --show-dir of msseg test',
    'EmptyCacheHook': 'a PyTorch setting',
    'SyncBuffersHook': 'evaluation uses the statistics of the first device',
    'MemoryProfilerHook': 'the log shows the memory',
    'NPUProfilerHook': "see MindSpore's profiler",
    'ProfilerHook': "see MindSpore's profiler",
    'PrepareTTAHook': 'see --aug-test of msseg test',
}
_LOGGER = {
    'interval_exp_name': 'the log has a name of its own',
    'out_dir': 'logs are in the work dir',
    'out_suffix': 'logs are in the work dir',
    'keep_local': 'logs are in the work dir',
    'file_client_args': 'files are written to disks',
    'backend_args': 'files are written to disks',
}
_CHECKPOINT = {
    'save_param_scheduler': 'the schedule follows from the iteration',
    'greater_keys': 'see evaluation.rule',
    'less_keys': 'see evaluation.rule',
    'file_client_args': 'files are written to disks',
    'filename_tmpl': 'names are iter_N.ckpt and epoch_N.ckpt',
    'backend_args': 'files are written to disks',
    'published_keys': 'a checkpoint is smaller with save_optimizer=False',
    'save_begin': 'checkpoints are saved from the start',
}
# Backends, what they are here, and which of their arguments the hook takes.
_LOGGERS: dict[str, tuple[str, tuple[str, ...]]] = {
    'LocalVisBackend': ('', ()),
    'TensorboardVisBackend': ('TensorboardLoggerHook', ()),
    'WandbVisBackend': ('WandbLoggerHook', ('init_kwargs', 'define_metric_cfg')),
    'MLflowVisBackend': (
        'MlflowLoggerHook',
        ('exp_name', 'run_name', 'tags', 'params', 'tracking_uri'),
    ),
    'SwanlabVisBackend': ('SwanlabLoggerHook', ('init_kwargs',)),
}
_BACKEND = {
    'save_dir': 'logs are in the work dir',
    'img_save_dir': 'pictures: --show-dir of msseg test',
    'config_save_file': 'the config is in the work dir',
    'scalar_save_file': 'TIME.log.json in the work dir',
    'commit': 'points are always sent',
    'log_code_name': 'code is not uploaded',
    'watch_kwargs': 'gradients are not uploaded',
    'artifact_suffix': 'files are not uploaded',
    'artifact_location': 'artifacts are where the store puts them',
    'tracked_config_keys': 'the whole config is sent',
}
_VISUALIZER = 'curves and pictures: msseg analyze, --show-dir of msseg test'


def translate_hooks(root: Section, out: ConfigDict, evaluation: ConfigDict) -> None:
    """Translate ``default_hooks``, ``custom_hooks``, ``visualizer`` and ``log_processor``.

    Args:
        root: The config.
        out: Gets ``checkpoint_config``, ``log_config`` and ``custom_hooks``.
        evaluation: Gets ``save_best`` and ``rule``.
    """
    backends = _backends(root)
    by_epoch = _by_epoch(root)
    custom: list[ConfigDict] = []
    if 'default_hooks' in root or 'train_cfg' in root:
        hooks = root.take('default_hooks', hint=Mapping | None) or ConfigDict()
        chosen = hooks.copy()
        for name, default in _DEFAULTS.items():
            chosen.setdefault(name, default)
        chosen = Section(chosen, 'default_hooks', root.report)
        for name in list(chosen.rest()):
            hook = chosen.section(name)
            if hook is None:
                continue
            kind = hook.kind()
            if kind == 'CheckpointHook':
                _checkpoint(hook, out, evaluation)
            elif kind == 'LoggerHook':
                _log(hook, out, by_epoch, backends)
            else:
                custom += _hook(hook)
        root.report.translated['default_hooks'] = 'checkpoint_config, log_config'
    for hook in root.sections('custom_hooks'):
        custom += _hook(hook)
    if custom:
        root.put(out, 'custom_hooks', custom, 'custom_hooks')
        root.report.translated['custom_hooks'] = 'custom_hooks'


def _by_epoch(root: Section) -> bool:
    processor = root.section('log_processor')
    if processor is None:
        return True
    by_epoch = processor.take('by_epoch', True, bool)
    processor.take('type')
    processor.ignore(dict.fromkeys(processor.rest(), 'values are averaged since the last line'))
    return by_epoch


def _backends(root: Section) -> list[ConfigDict]:
    """Return the loggers here that the visualizer's backends stand for."""
    visualizer = root.section('visualizer')
    loose = root.sections('vis_backends')
    backends = loose if visualizer is None else visualizer.sections('vis_backends')
    found = []
    for backend in backends:
        kind = backend.kind()
        if kind not in _LOGGERS:
            name = backend.path('type')
            root.report.meaningless[name] = f'{kind}: here are {", ".join(_LOGGERS)}'
            continue
        name, arguments = _LOGGERS[kind]
        logger = ConfigDict()
        backend.put(logger, 'type', name)
        backend.give(logger, {key: key for key in arguments})
        backend.ignore(_BACKEND)
        backend.close('leave it out')
        if logger.get('define_metric_cfg'):
            summaries = _summaries(backend, logger['define_metric_cfg'])
            backend.put(logger, 'define_metric_cfg', summaries, 'define_metric_cfg')
        if name and logger not in found:
            found.append(logger)
    if visualizer is not None:
        visualizer.take('type')
        visualizer.take('name')
        visualizer.ignore(dict.fromkeys(visualizer.rest(), _VISUALIZER))
        root.report.translated['visualizer'] = 'log_config.hooks'
    return found


def _summaries(backend: Section, given: object) -> dict[str, object]:
    """Return summaries by metric, as curves are called here: ``val/mIoU``, ``train/loss``."""
    pairs = given.items() if isinstance(given, Mapping) else ()
    if isinstance(given, (list, tuple)) and all(isinstance(each, Mapping) for each in given):
        pairs = [(each.get('name'), each.get('summary')) for each in given]
    elif not pairs:
        raise backend.refusal('define_metric_cfg', "give {'mIoU': 'max'}")
    names = {name: name for name, _ in pairs if '/' in str(name)}
    return {
        names.get(name) or f'{"train" if "loss" in str(name) else "val"}/{name}': summary
        for name, summary in pairs
    }


def _checkpoint(hook: Section, out: ConfigDict, evaluation: ConfigDict) -> None:
    settings = ConfigDict()
    keys = ('interval', 'by_epoch', 'save_optimizer', 'out_dir', 'max_keep_ckpts', 'save_last')
    hook.give(settings, {key: key for key in keys})
    out['checkpoint_config'] = settings
    for key in ('save_best', 'rule'):
        value = hook.take(key)
        if isinstance(value, (list, tuple)) and len(value) == 1:
            value = value[0]
        if isinstance(value, (list, tuple)):
            raise hook.refusal(key, 'name one score')
        if value is not None:
            hook.put(evaluation, key, value, key)
    hook.ignore(_CHECKPOINT)
    hook.close()


def _log(hook: Section, out: ConfigDict, by_epoch: bool, backends: list[ConfigDict]) -> None:
    more = ConfigDict(by_epoch=by_epoch)
    hook.give(more, {'ignore_last': 'ignore_last'})
    log = ConfigDict()
    hook.put(log, 'interval', hook.take('interval', 10), 'interval')
    loggers = (ConfigDict(type='TextLoggerHook'), *backends)
    for logger in loggers:
        logger.update(more)
    hook.put(log, 'hooks', list(loggers))
    out['log_config'] = log
    hook.take('log_metric_by_epoch')  # which log_processor.by_epoch decides here
    hook.ignore(_LOGGER)
    hook.close()


def _hook(hook: Section) -> list[ConfigDict]:
    """Translate another hook; a class of the user's stays as it is."""
    kind = hook.kind()
    if kind in _BUILT_IN:
        return []
    if kind in _MEANINGLESS:
        is_off = kind == 'SegVisualizationHook' and not hook.take('draw')
        if not is_off:
            hook.report.meaningless[hook.path('type')] = f'{kind}: {_MEANINGLESS[kind]}'
        return []
    out = ConfigDict()
    hook.put(out, 'type', kind)
    if kind in _HOOKS:
        _HOOKS[kind](hook, out)
        hook.close()
    else:
        hook.give_rest(out)
    return [out]


def _ema(hook: Section, out: ConfigDict) -> None:
    hook.expect('ema_type', 'ExponentialMovingAverage')
    hook.expect('update_buffers', False, advice='statistics are not averaged here')
    hook.expect('begin_iter', 0)
    hook.expect('begin_epoch', 0)
    hook.ignore({'strict_load': 'names are always compared'})
    hook.give(out, {'momentum': 'momentum', 'interval': 'interval', 'priority': 'priority'})
    hook.put(out, 'warm_up', 1)  # none there


def _early_stopping(hook: Section, out: ConfigDict) -> None:
    hook.expect('stopping_threshold', None)
    hook.expect('strict', False, True)
    hook.expect('check_finite', True)
    hook.give(out, {'monitor': 'monitor', 'rule': 'rule', 'patience': 'patience',
                    'priority': 'priority'})  # fmt: skip
    # scores are per cent there
    hook.put(out, 'min_delta', hook.take('min_delta', 0.1, NonNegative) / 100, 'min_delta')


_HOOKS: dict[str, Callable[[Section, ConfigDict], None]] = {
    'EMAHook': _ema,
    'EarlyStoppingHook': _early_stopping,
}
