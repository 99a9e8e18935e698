"""Dropout of whole channels whose masks resume exactly."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Parameter, nn, ops

from msseg.utils.dist import get_rank

_MODULUS = 2**31 - 1


class Dropout2d(nn.Cell):
    """Zeroes whole channels of a sample and scales the others up, in training.

    The mask is a hash of a saved state, (seed, number of calls), and of the element's position in
    the batch of all devices, so a resumed run draws the masks that the uninterrupted one would
    have, on as many devices or on others. (MindSpore 2.7 to 2.10 do not restore the state of
    ``nn.Dropout2d`` in graph mode.)

    Args:
        ratio: Probability of zeroing a channel, in [0, 1).

    Raises:
        ValueError: `ratio` outside [0, 1).
    """

    def __init__(self, ratio: float = 0.5) -> None:
        super().__init__()
        if not 0 <= ratio < 1:
            raise ValueError(f'dropout_ratio: got {ratio!r}, expected a number in [0, 1)')
        self.ratio = ratio
        self.rank = get_rank()
        # numpy's generator, as users seed it: the same seed gives the same run.
        seed = np.random.randint(1, _MODULUS)
        self.state = Parameter(ms.Tensor([seed, 0], ms.int32), 'state', requires_grad=False)
        self.step = ms.Tensor([0, 1], ms.int32)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Drop channels of (n, c, h, w); the identity when not training."""
        if not self.training:
            return x
        n, c = x.shape[:2]
        keep = (self._uniform(n * c) >= self.ratio).astype(x.dtype).reshape(n, c, 1, 1)
        ops.assign(self.state, self.state + self.step)
        return x * (keep / (1.0 - self.ratio))

    def _uniform(self, count: int) -> ms.Tensor:
        """Numbers in [0, 1): a quadratic congruential hash in exact 64-bit integers."""
        seed, calls = ops.split(self.state.astype(ms.int64), 1)
        position = ops.arange(count).astype(ms.int64) + self.rank * count
        x = _mix(_mix(seed + 7919 * calls) + 104729 * position)
        return _mix(_mix(x)).astype(ms.float32) / float(_MODULUS)


def _mix(x: ms.Tensor) -> ms.Tensor:
    x = x % _MODULUS
    x = (x * x + 48271 * x + 12345) % _MODULUS
    return (x * 16807 + 7) % _MODULUS
