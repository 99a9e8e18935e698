"""Learning-rate schedules: pure functions of progress.

A schedule maps (base learning rate, progress, total) to a learning rate. Progress counts completed
iterations or epochs, so the first iteration has progress 0. Formulas and argument names are MMCV
1.7's; ``gaussian`` is the MindSpore model zoo's.

Examples:
    >>> [round(poly(0.1, done, 4, power=1.0), 3) for done in range(4)]
    [0.1, 0.075, 0.05, 0.025]
    >>> step(0.1, 7, 10, step=[5, 8])
    0.010000000000000002
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from typing import Annotated, Literal

from msseg.utils.arguments import (
    NonEmpty,
    NonNegative,
    NonNegativeInt,
    Positive,
    PositiveInt,
    Probability,
    Range,
)
from msseg.utils.errors import UserKeyError, expected_one_of


def fixed(base_lr: float, progress: int, total: int) -> float:
    """Return the base learning rate."""
    return base_lr


def step(
    base_lr: float,
    progress: int,
    total: int,
    *,
    step: PositiveInt | NonEmpty[NonNegativeInt],
    gamma: Annotated[float, Range(0, 10, above=True)] = 0.1,
    min_lr: NonNegative | None = None,
) -> float:
    """Multiply by `gamma` every `step`, or at each of the given steps."""
    if isinstance(step, int):
        passed = progress // step
    else:
        passed = bisect.bisect_right(sorted(step), progress)
    lr = base_lr * gamma**passed
    return lr if min_lr is None else max(lr, min_lr)


def exp(
    base_lr: float, progress: int, total: int, *, gamma: Annotated[float, Range(0, 1, above=True)]
) -> float:
    """Multiply by `gamma` at every step."""
    return base_lr * gamma**progress


def poly(
    base_lr: float,
    progress: int,
    total: int,
    *,
    power: NonNegative = 1.0,
    min_lr: NonNegative = 0.0,
    min_lr_ratio: NonNegative | None = None,
) -> float:
    """Decay to `min_lr`, or to `min_lr_ratio` of the base, as (1 - progress / total) ** power."""
    if min_lr_ratio is not None:
        min_lr = base_lr * min_lr_ratio
    return (base_lr - min_lr) * (1 - progress / total) ** power + min_lr


def cosine(
    base_lr: float,
    progress: int,
    total: int,
    *,
    min_lr: NonNegative | None = None,
    min_lr_ratio: NonNegative | None = None,
) -> float:
    """Decay to `min_lr`, or to `min_lr_ratio` of the base, along half a cosine."""
    if (min_lr is None) == (min_lr_ratio is None):
        raise ValueError('lr_config: CosineAnnealing needs either min_lr or min_lr_ratio')
    target = base_lr * min_lr_ratio if min_lr is None else min_lr
    return _anneal_cosine(base_lr, target, progress / total)


def one_cycle(
    base_lr: float,
    progress: int,
    total: int,
    *,
    max_lr: NonNegative,
    total_steps: PositiveInt | None = None,
    pct_start: Probability = 0.3,
    anneal_strategy: Literal['cos', 'linear'] = 'cos',
    div_factor: Positive = 25.0,
    final_div_factor: Positive = 1e4,
    three_phase: bool = False,
) -> float:
    """Rise from max_lr / div_factor to `max_lr`, then decay to that start / final_div_factor.

    The base learning rate is ignored. Source: Smith and Topin, "Super-Convergence",
    arXiv:1708.07120; MMCV's OneCycle.
    """
    total = total_steps or total
    start_lr = max_lr / div_factor
    end_lr = start_lr / final_div_factor
    peak = pct_start * total - 1
    if three_phase:
        phases = [(peak, start_lr, max_lr), (2 * peak, max_lr, start_lr)]
        phases.append((total - 1, start_lr, end_lr))
    else:
        phases = [(peak, start_lr, max_lr), (total - 1, max_lr, end_lr)]
    begins = [0.0, *(end for end, _, _ in phases[:-1])]
    index = min(sum(progress > end for end, _, _ in phases), len(phases) - 1)
    begin, (end, first, last) = begins[index], phases[index]
    done = min((progress - begin) / max(end - begin, 1e-12), 1.0)
    if anneal_strategy == 'cos':
        return _anneal_cosine(first, last, done)
    return first + (last - first) * done


def gaussian(base_lr: float, progress: int, total: int, *, power: NonNegative) -> float:
    """Divide by exp(power * progress ** 2), as the model zoo's OCRNet script does."""
    return base_lr / math.exp(min(power * progress**2, 700.0))


def warmup_factor(kind: str, progress: int, warmup: int, ratio: float) -> float:
    """Return the factor on the learning rate during warm-up (MMCV's ``warmup``).

    Args:
        kind: ``constant``, ``linear`` or ``exp``.
        progress: Completed iterations, below `warmup`.
        warmup: Length of the warm-up in iterations.
        ratio: Factor at the very start, in (0, 1].
    """
    if kind == 'constant':
        return ratio
    if kind == 'linear':
        return 1 - (1 - progress / warmup) * (1 - ratio)
    return ratio ** (1 - progress / warmup)


POLICIES: dict[str, Callable[..., float]] = {
    'fixed': fixed,
    'step': step,
    'exp': exp,
    'poly': poly,
    'CosineAnnealing': cosine,
    'cosine': cosine,
    'OneCycle': one_cycle,
    'one_cycle': one_cycle,
    'gaussian': gaussian,
}


def get_policy(name: str) -> Callable[..., float]:
    """Return the schedule of a name; the first letter's case does not matter, as in MMCV."""
    for each in (name, name[:1].upper() + name[1:], name[:1].lower() + name[1:]):
        if each in POLICIES:
            return POLICIES[each]
    raise expected_one_of('lr_config.policy', name, POLICIES, UserKeyError)


def _anneal_cosine(start: float, end: float, fraction: float) -> float:
    return end + 0.5 * (start - end) * (math.cos(math.pi * fraction) + 1)
