"""Check the length of the run, the scores that choose checkpoints, and unread settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msseg.apis.cityscapes_scores import CITYSCAPES, cityscapes_keys
from msseg.checks.config.settings import (
    Setting,
    dataset_nodes,
    each,
    entry_of,
    head_nodes,
    part,
    setting,
)
from msseg.checks.findings import Findings
from msseg.config import Config
from msseg.evaluation import check_metrics, reported_keys
from msseg.models.builder import HEADS, SEGMENTORS
from msseg.runner import HOOKS, RUNNERS
from msseg.runner.hooks import EarlyStoppingHook, LrUpdaterHook
from msseg.utils.arguments import argument_default, fits
from msseg.utils.cli import one_line
from msseg.utils.suggest import did_you_mean

_MOST_NAMED = 8


@dataclass(frozen=True)
class RunLength:
    """The length of a run."""

    setting: Setting  # ``runner.max_iters`` or ``runner.max_epochs``
    iters_per_epoch: int | None = None  # None if the data are not known

    @property
    def counts_epochs(self) -> bool:
        """Whether it is given in epochs."""
        return self.setting.key.endswith('max_epochs')

    def in_unit(self, epochs: bool) -> int | None:
        """Return it in epochs or iterations; None if that needs the data."""
        if epochs == self.counts_epochs:
            return self.setting.value
        if self.iters_per_epoch is None:
            return None
        if self.counts_epochs:
            return self.setting.value * self.iters_per_epoch
        return self.setting.value // self.iters_per_epoch


def run_length(cfg: Config, iters_per_epoch: int | None = None) -> RunLength | None:
    """Return the length of a config's run, None if the config does not give it."""
    for name in ('max_iters', 'max_epochs'):
        length = setting(part(cfg, 'runner'), name)
        if length is not None and fits(length.value, int) and length.value > 0:
            return RunLength(length, iters_per_epoch)
    return None


def check_schedule(cfg: Config, findings: Findings, iters_per_epoch: int | None = None) -> None:
    """Compare warm-up and evaluation with the length of the run, as far as units allow."""
    run = run_length(cfg, iters_per_epoch)
    if run is None:
        return
    lr, evaluation = part(cfg, 'lr_config'), part(cfg, 'evaluation')
    if lr.get('warmup') is not None:
        default = argument_default(LrUpdaterHook, 'warmup_by_epoch')
        epochs = bool(lr.get('warmup_by_epoch', default))
        _compare(setting(lr, 'warmup_iters'), 1, epochs, run, 'warmup', findings)
    start = setting(evaluation, 'start')
    first = start if start is not None and start.value else setting(evaluation, 'interval')
    runner = entry_of(part(cfg, 'runner'), RUNNERS)
    by_epoch = getattr(runner, 'by_epoch', run.counts_epochs)
    epochs = bool(evaluation.get('by_epoch', by_epoch))
    _compare(first, 0, epochs, run, 'evaluation_interval', findings)


def _compare(
    given: Setting | None,
    more: int,
    epochs: bool,
    run: RunLength,
    rule: str,
    findings: Findings,
) -> None:
    """Add a setting that, with `more` epochs or iterations after it, needs a longer run."""
    length = run.in_unit(epochs)
    if given is None or not fits(given.value, int) or length is None:
        return
    if given.value + more > length:
        unit = 'epochs' if epochs else 'iterations'
        converted = '' if epochs == run.counts_epochs else f', {length} {unit}'
        findings.add_setting(rule, given, f'{given.value} {unit}, but {run.setting}{converted}')


def check_scores(
    cfg: Config, classes: Sequence[str], loss_names: Sequence[str] | None, findings: Findings
) -> None:
    """Find unknown metrics, and keys that the evaluation does not report.

    `classes` are those of the validation images; `loss_names` are None if they are not known.
    """
    evaluation = part(cfg, 'evaluation')
    metric = setting(evaluation, 'metric')
    if findings.block('evaluation.metric'):
        return
    try:
        names = check_metrics('mIoU' if metric is None else metric.value, also=[CITYSCAPES])
    except (KeyError, TypeError) as error:
        findings.add_setting('unknown_metric', metric, one_line(error))
        return
    own = [name for name in names if name != CITYSCAPES]
    keys = reported_keys(own, classes) if own else []
    if len(dataset_nodes(cfg, 'val')) > 1:
        return  # whether each is scored separately is known after building them only
    keys += cityscapes_keys() if CITYSCAPES in names else []
    if evaluation.get('loss') is True:
        if loss_names is None:
            return
        keys += ['loss', *(name for name in loss_names if 'loss' in name)]
    hooks = [h for h in each(cfg.get('custom_hooks')) if entry_of(h, HOOKS) is EarlyStoppingHook]
    wanted = [setting(evaluation, 'save_best'), *(setting(h, 'monitor', HOOKS) for h in hooks)]
    for key in wanted:
        if key is not None and key.value not in (*keys, None, 'auto'):
            shown = keys[:_MOST_NAMED] + ['…'] * (len(keys) > _MOST_NAMED)
            hint = did_you_mean(str(key.value), keys)
            note = f'{key.value!r}, but reported are {shown}.{hint}'
            findings.add_setting('unknown_score', key, note)


def check_train_cfg(cfg: Config, findings: Findings) -> None:
    """Find settings in ``train_cfg`` that no head reads; segmentors of msseg read none."""
    segmentor = entry_of(part(cfg, 'model'), SEGMENTORS)
    if segmentor is None or not segmentor.__module__.startswith('msseg.'):
        return
    heads = [entry_of(node, HEADS) for node in head_nodes(cfg)]
    read = {name for head in heads for name in getattr(head, 'train_cfg_keys', ())}
    for node in (part(cfg, 'train_cfg'), part(cfg, 'model.train_cfg')):
        # None is no setting: MMSegmentation's files have sampler=None there
        for name in [name for name in node if name not in read and node[name] is not None]:
            note = f'is {node[name]!r}, but {segmentor.__name__} and its heads never read it'
            findings.add_setting('unread', setting(node, name), note)
