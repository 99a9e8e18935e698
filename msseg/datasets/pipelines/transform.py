"""The base class of the transforms, and their source of random numbers."""

from __future__ import annotations

import inspect

import numpy as np


class Transform:
    """Base of the transforms: shows the arguments that are attributes of the same name.

    Example:
        >>> class Brighten(Transform):
        ...     def __init__(self, delta: int) -> None:
        ...         self.delta = delta
        >>> Brighten(3)
        Brighten(delta=3)
    """

    def __repr__(self) -> str:
        values = {n: getattr(self, n) for n in inspect.signature(type(self)).parameters
                  if hasattr(self, n)}  # fmt: skip
        values |= {n: v.tolist() for n, v in values.items() if isinstance(v, np.ndarray)}
        return f'{type(self).__name__}({", ".join(f"{n}={v!r}" for n, v in values.items())})'


class GlobalRandom:
    """numpy's global generator behind the three methods of `numpy.random.Generator` in use.

    Each call draws what MMSegmentation draws at that place, so seeding `numpy.random` gives
    MMSegmentation's result.
    """

    def integers(self, low: int, high: int) -> int:
        """Draw an integer in [low, high)."""
        return int(np.random.randint(low, high))

    def random(self) -> float:
        """Draw a number in [0, 1)."""
        return float(np.random.random_sample())

    def uniform(self, low: float, high: float) -> float:
        """Draw a number in [low, high)."""
        return float(np.random.uniform(low, high))


RandomSource = np.random.Generator | GlobalRandom


def get_rng(results: dict) -> RandomSource:
    """Return ``results['rng']`` of a sample, or numpy's global generator when there is none.

    Raises:
        TypeError: ``results['rng']`` is no `numpy.random.Generator`.
    """
    rng = results.get('rng')
    if rng is None:
        return GlobalRandom()
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"results['rng'] is {rng!r}; expected a numpy.random.Generator such as "
            'numpy.random.default_rng(seed)'
        )
    return rng
