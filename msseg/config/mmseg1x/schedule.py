"""Parameter schedulers of MMSegmentation 1.x: one policy, after a warm-up.

There a scheduler reaches its last value in the iteration before its end, here at its end: the rates
differ by at most one step of the schedule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msseg.config.config_dict import ConfigDict
from msseg.config.mmseg1x.section import Section
from msseg.utils.arguments import NonNegativeInt

_NO_END = 10**9  # what MMEngine uses
_STEP = NonNegativeInt | None
# The policy here, and the names of its arguments.
_POLICIES: dict[str, tuple[str, dict[str, str]]] = {
    'PolyLR': ('poly', {'power': 'power', 'eta_min': 'min_lr'}),
    'PolyLRRatio': ('poly', {'power': 'power', 'eta_min_ratio': 'min_lr_ratio'}),
    'MultiStepLR': ('step', {'milestones': 'step', 'gamma': 'gamma'}),
    'StepLR': ('step', {'step_size': 'step', 'gamma': 'gamma'}),
    'ExponentialLR': ('exp', {'gamma': 'gamma'}),
    'CosineAnnealingLR': (
        'CosineAnnealing',
        {'eta_min': 'min_lr', 'eta_min_ratio': 'min_lr_ratio'},
    ),
    'OneCycleLR': (
        'OneCycle',
        {
            'eta_max': 'max_lr',
            **{
                key: key
                for key in ('total_steps', 'pct_start', 'anneal_strategy', 'div_factor',
                            'final_div_factor', 'three_phase')
            },
        },
    ),
}  # fmt: skip
_DECAYS_TO_AN_END = ('poly', 'CosineAnnealing')
_UNUSED = {'verbose': 'the log shows the rate', 'last_step': 'a resumed run knows its step'}


def lr_config(root: Section, runner: Mapping[str, Any]) -> ConfigDict:
    """Translate ``param_scheduler``.

    Args:
        root: The config.
        runner: The translated ``runner``.
    """
    out = ConfigDict(policy='fixed', by_epoch=False)
    has_policy = False
    for section in root.sections('param_scheduler'):
        kind = section.kind()
        if kind in ('LinearLR', 'ConstantLR'):
            _warmup(section, kind, out)
        elif kind not in _POLICIES:
            known = ', '.join(['LinearLR', 'ConstantLR', *_POLICIES])
            raise section.refusal('type', f'use one of {known}')
        elif has_policy:
            raise section.refusal('type', 'keep one policy, with LinearLR before it as warm-up')
        else:
            _policy(section, kind, out, runner)
            has_policy = True
        section.ignore(_UNUSED)
        section.close()
    return out


def _warmup(section: Section, kind: str, out: ConfigDict) -> None:
    is_linear = kind == 'LinearLR'
    begin, end = (section.take(key, value, _STEP) for key, value in (('begin', 0), ('end', None)))
    factor = section.take('start_factor' if is_linear else 'factor', 1 / 3, float)
    by_epoch, is_converted = (
        section.take('by_epoch', True, bool),
        section.take('convert_to_iter_based'),
    )
    if not is_linear and factor == 1:
        return  # it holds the rate that is there
    if is_linear:
        section.expect('end_factor', 1.0, advice='a warm-up ends at the full rate')
    if begin != 0 or end is None:
        raise section.refusal('begin' if begin else 'type', 'give begin=0 and end, for a warm-up')
    section.put(out, 'warmup', 'linear' if is_linear else 'constant')
    section.put(out, 'warmup_iters', end, 'end')
    section.put(out, 'warmup_ratio', factor, 'start_factor' if is_linear else 'factor')
    if by_epoch:
        section.put(out, 'warmup_by_epoch', True, 'by_epoch')
    if by_epoch and not is_converted:
        section.put(out, 'warmup_per_epoch', True, 'by_epoch')


def _policy(section: Section, kind: str, out: ConfigDict, runner: Mapping[str, Any]) -> None:
    policy, names = _POLICIES[kind]
    by_epoch, is_converted = (
        section.take('by_epoch', True, bool),
        section.take('convert_to_iter_based'),
    )
    begin = section.take('begin', 0, _STEP) or 0
    end = section.take('end', None, _STEP) or _NO_END
    section.put(out, 'policy', policy)
    section.give(out, names)
    if policy == 'CosineAnnealing' and not {'min_lr', 'min_lr_ratio'} & set(out):
        section.put(out, 'min_lr', 0.0)
    length = runner.get('max_epochs' if by_epoch else 'max_iters')
    period = section.take('T_max', None, _STEP)
    if period is not None and period != end - begin:
        if end != _NO_END or period < (length or 0) - begin:
            raise section.refusal('T_max', 'leave it out, so that the rate falls until the end')
        end = begin + period
    if begin:
        section.put(out, 'begin', begin, 'begin')
    if end != length and (end != _NO_END or policy in _DECAYS_TO_AN_END):
        section.put(out, 'end', end, 'end')
    if by_epoch and is_converted and policy != 'step':
        if begin or end not in (length, _NO_END):
            advice = 'leave it out, or give begin and end in iterations'
            raise section.refusal('convert_to_iter_based', advice)
        by_epoch = False
    section.put(out, 'by_epoch', by_epoch, 'by_epoch')
