"""Registration of transforms, and their source of random numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from msseg.datasets.builder import PIPELINES
from msseg.utils.arguments import checked

T = TypeVar('T', bound=type)


def register_transform(cls: T) -> T:
    """Register a transform whose arguments are its fields, as those of a dataclass, and checked.

    Examples:
        >>> from msseg.utils.arguments import NonNegativeInt
        >>> class Brighten:
        ...     delta: NonNegativeInt = 1
        ...     def __call__(self, results: dict) -> dict:
        ...         return {**results, 'img': results['img'] + self.delta}
        >>> Brighten = register_transform(Brighten)
        >>> Brighten(3), Brighten(3)({'img': 4})
        (Brighten(delta=3), {'img': 7})
        >>> del PIPELINES.module_dict['Brighten']
    """
    cls = dataclass(eq=False)(cls)
    cls.__init__ = checked(cls.__init__)
    return PIPELINES.register_module()(cls)


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
    """Return ``results['rng']`` of a sample, or numpy's global generator if it has none.

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
