"""Keys of scores that checkpoints are chosen by, or runs ended by."""

from __future__ import annotations

from collections.abc import Sequence

from msseg.apis.cityscapes_scores import CITYSCAPES, cityscapes_keys
from msseg.apis.settings import (
    Setting,
    dataset_nodes,
    each,
    entry_of,
    part,
    setting,
)
from msseg.checks.config.finding import Findings
from msseg.config import Config
from msseg.evaluation import check_metrics, reported_keys
from msseg.runner import HOOKS
from msseg.runner.hooks import EarlyStoppingHook
from msseg.utils.cli import one_line
from msseg.utils.suggest import did_you_mean

_MOST_NAMED = 8


def check_scores(
    cfg: Config, classes: Sequence[str], loss_names: Sequence[str] | None, findings: Findings
) -> None:
    """Find metrics that there are not, and keys that evaluation does not report.

    Args:
        cfg: The config.
        classes: Names of the validation images' classes.
        loss_names: Names of the model's losses; None while they are not known.
        findings: Where to note them.
    """
    evaluation = part(cfg, 'evaluation')
    metric = setting(evaluation, 'metric')
    if findings.hinders('evaluation.metric'):
        return
    try:
        names = check_metrics('mIoU' if metric is None else metric.value, also=[CITYSCAPES])
    except (KeyError, TypeError) as error:
        findings.add('unknown_metric', metric, one_line(error))
        return
    own = [name for name in names if name != CITYSCAPES]
    keys = reported_keys(own, classes) if own else []
    if len(dataset_nodes(cfg, 'val')) > 1:
        return  # each may be scored by itself: only building them tells
    keys += cityscapes_keys() if CITYSCAPES in names else []
    if evaluation.get('loss') is True:
        if loss_names is None:
            return
        keys += ['loss', *(name for name in loss_names if 'loss' in name)]
    for said in _wanted(cfg):
        if said.value not in keys and said.value != 'auto':
            shown = keys[:_MOST_NAMED] + ['…'] * (len(keys) > _MOST_NAMED)
            hint = did_you_mean(str(said.value), keys)
            findings.add('unknown_score', said, f'{said.value!r}, but reported are {shown}.{hint}')


def _wanted(cfg: Config) -> list[Setting]:
    """Return the keys that the config asks for."""
    wanted = [setting(part(cfg, 'evaluation'), 'save_best')]
    for hook in each(cfg.get('custom_hooks')):
        if entry_of(hook, HOOKS) is EarlyStoppingHook:
            wanted.append(setting(hook, 'monitor', HOOKS))
    return [said for said in wanted if said is not None and said.value is not None]
