"""Values of the iterations since the last log line."""

from __future__ import annotations

import numpy as np
from mindspore import Tensor


class LogBuffer:
    """Collects named scalars and averages them when they are logged.

    Tensors are kept as they are and copied to the host only when averaged, so that logging every
    fifty iterations does not stop the device fifty times.
    """

    def __init__(self) -> None:
        self._history: dict[str, list[float | Tensor]] = {}

    def update(self, values: dict[str, float | Tensor]) -> None:
        """Add one iteration's values."""
        for name, value in values.items():
            self._history.setdefault(name, []).append(value)

    def averages(self) -> dict[str, float]:
        """Return the mean of every name since `clear`."""
        return {
            name: float(np.mean([float(_to_host(value)) for value in history]))
            for name, history in self._history.items()
        }

    def clear(self) -> None:
        """Forget everything."""
        self._history.clear()


def _to_host(value: float | Tensor) -> float | np.ndarray:
    return value.asnumpy() if isinstance(value, Tensor) else value
