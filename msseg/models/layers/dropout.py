"""Random numbers from saved counters, and dropout layers of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import mindspore as ms
import numpy as np
from mindspore import Parameter, nn, ops

from msseg.registry import Registry
from msseg.utils.arguments import Range, checked
from msseg.utils.dist import get_rank
from msseg.utils.layer_traits import register_traits
from msseg.utils.target import get_target
from msseg.utils.upstream import check_cell

DROP_LAYERS = Registry('dropout layer', check_cell)
Ratio = Annotated[float, Range(0, 1, below=True)]

_MODULUS = 2**31 - 1
_PRIME = 46337  # the largest whose square is below 2**31


class CountedRandom(nn.Cell):
    """Base of layers whose random numbers are a function of a saved state.

    They are a hash of (seed, number of calls) and of the number's position in the batch of all
    devices, so a resumed run draws the numbers that the uninterrupted one would have, on as many
    devices or on others. (MindSpore 2.7 to 2.10 do not restore the state of random operators in
    graph mode.)
    """

    def __init__(self) -> None:
        super().__init__()
        self.rank = get_rank()
        # numpy's generator, as users seed it: the same seed gives the same run.
        seed = np.random.randint(1, _MODULUS)
        self.state = Parameter(ms.Tensor([seed, 0], ms.int32), 'state', requires_grad=False)
        self.step = ms.Tensor([0, 1], ms.int32)
        # Where a cell is recomputed, its backward pass takes the state from this result: the saved
        # one is that of the next call by then, and would give other numbers.
        self.advance = ops.Add()
        self.advance.recompute(False)

    def take_state(self) -> ms.Tensor:
        """Return the state of this call, and save that of the next one."""
        following = self.advance(self.state, self.step)
        ops.assign(self.state, following)
        return following - self.step

    def uniform(self, shape: tuple[int, ...], state: ms.Tensor, salt: int = 0) -> ms.Tensor:
        """Return float32 numbers in [0, 1]; another `salt` gives others in the same call."""
        count = 1
        for length in shape:
            count = count * length
        numbers = self._hash(state, count, self.rank * count, salt)
        return (numbers.astype(ms.float32) / float(_MODULUS)).reshape(shape)

    def _hash(self, state: ms.Tensor, count: int, start: int, salt: int) -> ms.Tensor:
        """Return numbers in [0, `_MODULUS`): a quadratic congruential hash in 64-bit integers."""
        seed, calls = ops.split(state.astype(ms.int64), 1)
        position = ops.arange(count).astype(ms.int64) + start
        x = _mix(_mix(seed + salt + 7919 * calls) + 104729 * position)
        return _mix(_mix(x))


class CountedDropout(CountedRandom):
    """Base of dropouts whose masks come from a saved state; the identity in inference.

    A subclass writes `mask_shape`.

    Args:
        ratio: Probability of zeroing, in [0, 1).
    """

    def __init__(self, ratio: float) -> None:
        super().__init__()
        self.ratio = ratio
        self.on_cpu = get_target().name == 'CPU'

    def mask_shape(self, x: ms.Tensor) -> tuple[int, ...]:
        """Return the shape of the mask of x."""
        raise NotImplementedError

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Zero parts of x in training, one for each element of the mask, and scale up the rest."""
        if not self.training or self.ratio == 0:
            return x
        shape = self.mask_shape(x)
        keep = self._keep(shape, self.take_state()).astype(ms.float32) / (1.0 - self.ratio)
        if self.on_cpu and shape != x.shape:  # what broadcasts is dear there: `ChannelReduction`
            rows = keep.size
            row = ops.ones((1, x.size // rows), ms.float32)
            keep = ops.matmul(keep.reshape(rows, 1), row).reshape(x.shape)
        return x * keep.astype(x.dtype)

    def _keep(self, shape: tuple[int, ...], state: ms.Tensor) -> ms.Tensor:
        """Return the mask: True for an element that stays."""
        return self.uniform(shape, state) >= self.ratio


class Dropout2d(CountedDropout):
    """Zeroes whole channels of (n, c, h, w).

    Args:
        ratio: Probability of zeroing a channel, in [0, 1).
    """

    @checked
    def __init__(self, ratio: Ratio = 0.5) -> None:
        super().__init__(ratio)

    def mask_shape(self, x: ms.Tensor) -> tuple[int, ...]:
        n, c = x.shape[:2]
        return (n, c, 1, 1)


@DROP_LAYERS.register_module()
class Dropout(CountedDropout):
    """Zeroes elements of a tensor of any shape.

    Args:
        drop_prob: Probability of zeroing an element, in [0, 1).

    Source: MMCV 1.7 ``Dropout``.
    """

    @checked
    def __init__(self, drop_prob: Ratio = 0.5) -> None:
        super().__init__(drop_prob)

    def mask_shape(self, x: ms.Tensor) -> tuple[int, ...]:
        return x.shape

    def _keep(self, shape: tuple[int, ...], state: ms.Tensor) -> ms.Tensor:
        """Return the mask from a hash of each row and each column.

        A hash of every element would take 40 times the memory of x on the CPU (2.8). The cube is a
        permutation of the numbers below the prime, since 3 does not divide the prime minus 1, and
        all products fit into 32 bits.
        """
        columns = shape[-1]
        rows = 1
        for length in shape[:-1]:
            rows = rows * length
        of_row = (self._hash(state, rows, self.rank * rows, 0) % _PRIME).astype(ms.int32)
        of_column = (self._hash(state, columns, 0, 1) % _PRIME).astype(ms.int32)
        x = (of_row.reshape(rows, 1) + of_column) % _PRIME
        return (x * x % _PRIME * x % _PRIME >= int(self.ratio * _PRIME)).reshape(shape)


@DROP_LAYERS.register_module()
class DropPath(CountedDropout):
    """Zeroes whole samples of (n, …), for instance of a residual branch.

    Args:
        drop_prob: Probability of zeroing a sample, in [0, 1).

    Source: Huang et al., Deep Networks with Stochastic Depth (2016); MMCV 1.7 ``DropPath``.
    """

    @checked
    def __init__(self, drop_prob: Ratio = 0.1) -> None:
        super().__init__(drop_prob)

    def mask_shape(self, x: ms.Tensor) -> tuple[int, ...]:
        shape = (x.shape[0],)
        for _ in x.shape[1:]:
            shape = shape + (1,)
        return shape


# Measured with MindSpore 2.8 on the CPU for a mask of 6.4 million elements.
register_traits(Dropout, temporaries=27.0)
for _cls in (Dropout2d, DropPath):
    register_traits(_cls, temporaries=1.0)  # the mask for each element


def build_dropout(cfg: Mapping) -> nn.Cell:
    """Build the dropout that a config names.

    Args:
        cfg: ``type`` is a name in `DROP_LAYERS`; ``inplace`` has no meaning here and is accepted.

    Raises:
        KeyError: An unknown ``type``.
        TypeError: An argument that the layer does not take.

    Examples:
        >>> build_dropout(dict(type='DropPath', drop_prob=0.2)).ratio
        0.2
    """
    options = cfg.copy()
    options.pop('inplace', None)
    return DROP_LAYERS.build(options)


def freeze_dropouts(cell: nn.Cell) -> None:
    """Let the dropouts of a cell drop nothing, in training too."""
    for _, layer in cell.cells_and_names():
        if isinstance(layer, CountedDropout):
            layer.ratio = 0.0


def _mix(x: ms.Tensor) -> ms.Tensor:
    x = x % _MODULUS
    x = (x * x + 48271 * x + 12345) % _MODULUS
    return (x * 16807 + 7) % _MODULUS
