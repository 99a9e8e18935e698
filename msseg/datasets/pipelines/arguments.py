"""Checks of transforms' arguments that several of them share."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

from msseg.utils.suggest import did_you_mean


def is_pair(value: Any) -> bool:
    """Tell whether a value is a sequence of two numbers."""
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) == 2
        and all(isinstance(v, numbers.Real) and not isinstance(v, bool) for v in value)
    )


def check_choice(who: str, name: str, value: Any, choices: Sequence[Any]) -> None:
    """Raise ValueError unless a value is one of the choices."""
    if value not in choices:
        hint = did_you_mean(value, [c for c in choices if isinstance(c, str)])
        raise ValueError(
            f'{who}: {name}={value!r} is unknown; expected one of {list(choices)}.'
            f'{hint if isinstance(value, str) else ""}'
        )


def check_prob(who: str, name: str, value: Any) -> None:
    """Raise ValueError unless a value is a probability."""
    if not isinstance(value, numbers.Real) or not 0 <= value <= 1:
        raise ValueError(f'{who}: {name}={value!r}; expected a probability in [0, 1]')


def check_size(who: str, name: str, value: Any, order: str = '(h, w)') -> tuple[int, int]:
    """Return a size as a tuple; ValueError unless it is two positive whole numbers."""
    if not is_pair(value) or any(v <= 0 or int(v) != v for v in value):
        raise ValueError(f'{who}: {name}={value!r}; expected two positive whole numbers {order}')
    return int(value[0]), int(value[1])
