"""Gradients summed over several iterations."""

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops


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
        self.count = Parameter(Tensor(0, ms.int32), 'accumulated_count', requires_grad=False)

    def construct(self, grads: tuple) -> tuple:
        """Add one batch's gradients; return the mean of those since the last `clear`."""
        count = self.count + 1
        ops.assign(self.count, count)
        factor = 1.0 / count.astype(ms.float32)
        means = ()
        for i in range(len(self.sums)):
            total = self.sums[i] + grads[i]
            ops.assign(self.sums[i], total)
            means = means + (total * factor,)
        return means

    def clear(self) -> None:
        """Start the next sum."""
        ops.assign(self.count, ops.zeros_like(self.count))
        for each in self.sums:
            ops.assign(each, ops.zeros_like(each))
