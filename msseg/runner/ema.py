"""Exponential moving averages of parameters."""

from collections.abc import Sequence

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops


class WeightAverage(nn.Cell):
    """Averages of parameters, moved towards them at each call.

    Args:
        parameters: What to average.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        super().__init__(auto_prefix=False)
        self.sources = ms.ParameterTuple(parameters)
        self.averages = ms.ParameterTuple(
            Parameter(Tensor(p.asnumpy().copy()), f'ema.{p.name}', requires_grad=False)
            for p in parameters
        )
        self.raw: list[Tensor] = []

    def construct(self, share: Tensor) -> Tensor:
        """Move every average by a share of the way to its parameter; return the share."""
        for i in range(len(self.sources)):
            average = self.averages[i]
            ops.assign(average, average + share * (self.sources[i] - average))
        return share

    def update(self, share: float) -> None:
        """Move every average by a share of the way to its parameter."""
        self(Tensor(share, ms.float32))

    def restart(self) -> None:
        """Start from the parameters as they are."""
        _copy(self.sources, self.averages)

    def swap_in(self) -> None:
        """Put the averages in the parameters' place, until `swap_out`."""
        self.raw = [_copy_of(parameter) for parameter in self.sources]
        _copy(self.averages, self.sources)

    def swap_out(self) -> None:
        """Give the parameters their own values again."""
        _copy(self.raw, self.sources)
        self.raw = []


def _copy(sources: Sequence[Tensor], targets: Sequence[Parameter]) -> None:
    for source, target in zip(sources, targets, strict=True):
        ops.assign(target, _copy_of(source))


def _copy_of(tensor: Tensor) -> Tensor:
    # By way of the host: MindSpore may let two parameters share memory.
    return Tensor(tensor.asnumpy().copy())
