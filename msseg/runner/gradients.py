"""What happens to gradients between the loss and the optimizer: reduce, accumulate, clip."""

import math
from collections.abc import Iterable
from typing import Annotated, Literal

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops

from msseg.utils.arguments import Positive, Range, checked
from msseg.utils.dist import get_world_size

# Gradients are mapped, not looped over: a loop that adds to a tuple makes a graph grow with the
# square of the number of gradients (MindSpore 2.8).

_MOST_OPERANDS = 32
NormType = Annotated[float, Range(0, math.inf, above=True)] | Literal['inf']


class GradReducer(nn.Cell):
    """Averages gradients, and what is logged, over the devices of a job.

    It calls AllReduce once per gradient; off the CPU `init_dist` has MindSpore fuse these calls. On
    the CPU (2.8, two processes, HRNet-W18-small OCRNet) they take 0.1 s a step, and a single
    AllReduce of all gradients in a row 0.4 s.

    Args:
        parameters: The parameters whose gradients are averaged, in their order.
    """

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        super().__init__(auto_prefix=False)
        self.num_devices = get_world_size()
        self.reduce = nn.DistributedGradReducer(list(parameters), True, self.num_devices)
        self.all_reduce = ops.AllReduce()

    def construct(self, grads: tuple) -> tuple:
        """Return the mean of each gradient, the same on every device."""
        return self.reduce(grads)

    def mean(self, values: tuple) -> tuple:
        """Return the mean of each of some float32 scalars, the same on every device."""
        means = self.all_reduce(ops.stack(values)) / self.num_devices
        result: tuple[Tensor, ...] = ()
        for i in range(len(values)):
            result = result + (means[i],)
        return result


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
        return self.map(ops.partial(_add_and_average, factor), self.sums, grads)

    def clear(self) -> None:
        """Start the next sum."""
        ops.assign(self.count, ops.zeros_like(self.count))
        for each in self.sums:
            ops.assign(each, ops.zeros_like(each))


def _sum_of_squares(half_square: ops.L2Loss, grad: Tensor) -> Tensor:
    return 2.0 * half_square(grad.astype('float32'))


def _largest(grad: Tensor) -> Tensor:
    return ops.amax(ops.abs(grad.astype('float32')))


def _sum_of_powers(exponent: float, grad: Tensor) -> Tensor:
    return ops.pow(ops.abs(grad.astype('float32')), exponent).sum()


def _scaled(factor: Tensor, grad: Tensor) -> Tensor:
    return grad * factor.astype(grad.dtype)


def join(scalars: tuple, largest: bool = False) -> Tensor:
    """Return the sum, or the largest, of any number of scalars in a graph.

    An operator of cards joins few operands: CANN's Pack takes 63.
    """
    while len(scalars) > _MOST_OPERANDS:
        joined: tuple[Tensor, ...] = ()
        for start in range(0, len(scalars), _MOST_OPERANDS):
            joined = joined + (_join_few(scalars[start : start + _MOST_OPERANDS], largest),)
        scalars = joined
    return _join_few(scalars, largest)


def _join_few(scalars: tuple, largest: bool) -> Tensor:
    together = ops.stack(scalars)
    return ops.amax(together) if largest else together.sum()


class GradNorm(nn.Cell):
    """The joint norm of all gradients.

    Args:
        norm_type: p of the p-norm, or ``inf``.
    """

    def __init__(self, norm_type: float = 2.0) -> None:
        super().__init__(auto_prefix=False)
        self.norm_type = norm_type
        self.is_euclidean = norm_type == 2.0
        self.is_infinity_norm = math.isinf(norm_type)
        self.half_square = ops.L2Loss()
        self.map = ops.HyperMap()

    def construct(self, grads: tuple) -> Tensor:
        """Return the norm, a float32 scalar; NaN or infinite when a gradient is."""
        if self.is_euclidean:
            parts = self.map(ops.partial(_sum_of_squares, self.half_square), grads)
        elif self.is_infinity_norm:
            parts = self.map(_largest, grads)
        else:
            parts = self.map(ops.partial(_sum_of_powers, self.norm_type), grads)
        if self.is_infinity_norm:
            return join(parts, largest=True)
        return ops.pow(join(parts), 1.0 / self.norm_type)


class GradClip(nn.Cell):
    """Scale all gradients so that their joint norm is at most `max_norm`.

    Args:
        max_norm: Largest norm allowed, positive.
        norm_type: p of the p-norm, positive, or ``inf``.

    Source: PyTorch ``clip_grad_norm_``: the factor is max_norm / (norm + 1e-6), at most 1.

    >>> from mindspore import Tensor
    >>> clip = GradClip(max_norm=1.0)
    >>> grads = (Tensor([3.0, 4.0]),)
    >>> clip(grads, clip.norm(grads))[0].asnumpy().round(3).tolist()
    [0.6000000238418579, 0.800000011920929]
    """

    @checked
    def __init__(self, max_norm: Positive, norm_type: NormType = 2.0) -> None:
        super().__init__(auto_prefix=False)
        self.max_norm = float(max_norm)
        self.norm = GradNorm(float(norm_type))
        self.map = ops.HyperMap()

    def construct(self, grads: tuple, norm: Tensor) -> tuple:
        """Return the clipped gradients; `norm` is what ``self.norm`` returned for them."""
        factor = ops.minimum(self.max_norm / (norm + 1e-6), Tensor(1.0))
        return self.map(ops.partial(_scaled, factor), grads)
