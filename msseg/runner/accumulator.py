"""Gradients summed over several iterations."""

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops

_add = ops.MultitypeFuncGraph('add')


@_add.register('Tensor', 'Tensor', 'Tensor')
def _add_and_average(factor: Tensor, total: Parameter, grad: Tensor) -> Tensor:
    new = total + grad
    ops.assign(total, new)
    return new * factor


class GradAccumulator(nn.Cell):
    """Sums the gradients of successive batches, for one update by their mean.

    Args:
        parameters: What the gradients belong to.
    """

    def __init__(self, parameters: list[Parameter]) -> None:
        super().__init__(auto_prefix=False)
        self.sums = ms.ParameterTuple(
            Parameter(ops.zeros_like(p), f'accumulated.{p.name}', requires_grad=False)
            for p in parameters
        )
        self.map = ops.HyperMap()
        self.count = Parameter(Tensor(0, ms.int32), 'accumulated_count', requires_grad=False)

    def construct(self, grads: tuple) -> tuple:
        """Add one batch's gradients; return the mean of those since the last `clear`."""
        count = self.count + 1
        ops.assign(self.count, count)
        factor = 1.0 / count.astype(ms.float32)
        return self.map(ops.partial(_add, factor), self.sums, grads)

    def clear(self) -> None:
        """Start the next sum."""
        ops.assign(self.count, ops.zeros_like(self.count))
        for each in self.sums:
            ops.assign(each, ops.zeros_like(each))
