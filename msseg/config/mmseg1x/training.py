"""Loops, optimizers, schedules, hooks and metrics of MMSegmentation 1.x."""

from __future__ import annotations

from msseg.config.config_dict import ConfigDict
from msseg.config.mmseg1x.hooks import translate_hooks
from msseg.config.mmseg1x.schedule import lr_config
from msseg.config.mmseg1x.section import Section
from msseg.utils.arguments import NonEmpty, NonNegativeInt, PositiveInt

_LOOPS = {
    'IterBasedTrainLoop': ('IterBasedRunner', 'max_iters', 1000),
    'EpochBasedTrainLoop': ('EpochBasedRunner', 'max_epochs', 1),
}
_METRICS = {'IoUMetric': None, 'CityscapesMetric': 'cityscapes'}
_METRIC = {
    'collect_device': 'scores come from one confusion matrix',
    'prefix': 'scores have their own names',
    'output_dir': 'see --format-dir of msseg test',
    'format_only': 'see --format-only of msseg test',
    'keep_results': 'see --format-only of msseg test',
    'backend_args': 'files are written to disks',
}
_BFLOAT16 = ('bfloat16', 'torch.bfloat16')


def translate_training(root: Section, out: ConfigDict) -> None:
    """Translate what concerns training and evaluation into the keys here.

    Args:
        root: The config.
        out: Gets ``runner``, ``optimizer``, ``lr_config``, ``evaluation`` and so on.
    """
    evaluation = ConfigDict()
    _loops(root, out, evaluation)
    _metrics(root, evaluation)
    wrapper = root.section('optim_wrapper')
    if wrapper is not None:
        _optimizer(wrapper, out)
        root.report.translated['optim_wrapper'] = 'optimizer, optimizer_config'
    if wrapper is not None or 'param_scheduler' in root:
        runner = out.get('runner') or {}
        root.put(out, 'lr_config', lr_config(root, runner), 'param_scheduler')
        root.report.translated['param_scheduler'] = 'lr_config'
    translate_hooks(root, out, evaluation)
    if evaluation:
        out['evaluation'] = evaluation


def _loops(root: Section, out: ConfigDict, evaluation: ConfigDict) -> None:
    for key in ('val_cfg', 'test_cfg'):
        loop = root.section(key)
        if loop is not None:
            loop.expect('type', 'ValLoop', 'TestLoop')
            loop.expect('fp16', False, advice='evaluation has the precision of training')
            loop.close()
    loop = root.section('train_cfg')
    if loop is None:
        return
    by_epoch = loop.take('by_epoch', False)
    default = 'EpochBasedTrainLoop' if by_epoch else 'IterBasedTrainLoop'
    loop.expect('type', *_LOOPS, advice='the loops here count iterations or epochs')
    kind, length, interval = _LOOPS[loop.take('type', default)]
    loop.expect('dynamic_intervals', None)
    runner = ConfigDict()
    loop.put(runner, 'type', kind)
    loop.give(runner, {length: length})
    out['runner'] = runner
    interval = loop.take('val_interval', interval, PositiveInt)
    total = loop.take(length, None, PositiveInt)
    if total is not None:
        interval = min(interval, total)  # a longer one evaluates after the last iteration there
    loop.put(evaluation, 'interval', interval, 'val_interval')
    begin = loop.take('val_begin', 1, NonNegativeInt)
    if begin > interval:
        start = -(-begin // interval) * interval  # evaluations there are at multiples only
        loop.put(evaluation, 'start', start, 'val_begin')
    loop.close()
    root.report.translated['train_cfg'] = 'runner, evaluation.interval'


def _optimizer(wrapper: Section, out: ConfigDict) -> None:
    kinds = ('OptimWrapper', 'AmpOptimWrapper')
    wrapper.expect('type', *kinds)
    optimizer = wrapper.take('optimizer')
    optimizer = ConfigDict() if optimizer is None else optimizer
    for key in ('constructor', 'paramwise_cfg'):
        value = wrapper.take(key)
        if value is not None:
            wrapper.put(optimizer, key, value, key)
    out['optimizer'] = optimizer
    options = ConfigDict()
    clip = wrapper.section('clip_grad')
    if clip is not None:
        clip.expect('type', 'norm', advice='gradients are clipped by their norm: give max_norm')
        settings = ConfigDict()
        clip.give_rest(settings)
        wrapper.put(options, 'grad_clip', settings, 'clip_grad')
    if wrapper.take('accumulative_counts', 1) != 1:
        wrapper.give(options, {'accumulative_counts': 'cumulative_iters'})
    wrapper.put(out, 'optimizer_config', options)
    if wrapper.take('type') == 'AmpOptimWrapper':
        _precision(wrapper, out)
    wrapper.close()


def _precision(wrapper: Section, out: ConfigDict) -> None:
    dtype, scale = str(wrapper.take('dtype', 'float16')), wrapper.take('loss_scale', 'dynamic')
    wrapper.expect('use_fsdp', False)
    if dtype in _BFLOAT16:
        wrapper.put(out, 'bf16', ConfigDict(), 'dtype')
        return
    if dtype not in ('float16', 'torch.float16', 'None'):
        raise wrapper.refusal('dtype', "set it to 'float16' or 'bfloat16'")
    settings = ConfigDict()
    if isinstance(scale, ConfigDict):
        scale = ConfigDict(mode='dynamic') | scale
    wrapper.put(settings, 'loss_scale', scale, 'loss_scale')
    wrapper.put(out, 'fp16', settings, 'loss_scale')


def _metrics(root: Section, evaluation: ConfigDict) -> None:
    names: dict[str, list[str]] = {}
    for key in ('val_evaluator', 'test_evaluator'):
        names[key] = [name for each in root.sections(key) for name in _metric(each)]
        if names[key]:
            root.report.translated[key] = 'evaluation.metric'
    of_val, of_test = names['val_evaluator'], names['test_evaluator']
    found = of_val or of_test
    if found:
        metric = found[0] if len(found) == 1 else found
        root.put(evaluation, 'metric', metric, 'val_evaluator' if of_val else 'test_evaluator')
    if of_val and of_test and of_val != of_test:
        reason = f'give msseg test --eval {" ".join(of_test)}'
        root.report.meaningless['test_evaluator'] = reason


def _metric(section: Section) -> list[str]:
    kind = section.kind()
    if kind not in _METRICS:
        raise section.refusal('type', f'the metrics here are {" and ".join(_METRICS)}')
    section.expect(
        'nan_to_num',
        None,
        advice='remove it: a class without pixels is n/a here, and left out of the means',
    )
    section.expect('beta', 1)
    section.expect('ignore_index', 255, advice='give ignore_index to the data set')
    names = section.take('iou_metrics', ['mIoU'], str | NonEmpty[str])
    section.ignore(_METRIC)
    section.close()
    if _METRICS[kind] is not None:
        return [_METRICS[kind]]
    return [names] if isinstance(names, str) else list(names)
