"""Where a transform's random numbers come from."""

from __future__ import annotations

import numpy as np


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

_GLOBAL = GlobalRandom()


def get_rng(results: dict) -> RandomSource:
    """Return ``results['rng']``, or numpy's global generator when there is none.

    Args:
        results: A sample on its way through a pipeline.

    Returns:
        A source with `integers`, `random` and `uniform`.

    Raises:
        TypeError: ``results['rng']`` is no `numpy.random.Generator`.
    """
    rng = results.get('rng')
    if rng is None:
        return _GLOBAL
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"results['rng'] is {rng!r}; expected a numpy.random.Generator such as "
            'numpy.random.default_rng(seed)'
        )
    return rng
