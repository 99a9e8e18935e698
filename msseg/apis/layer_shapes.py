"""Walking a network's layers with the shapes that they would have, without computing them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

import mindspore as ms
from mindspore import nn, ops

from msseg.models.layers import BatchProduct
from msseg.models.layers.activation import GELU
from msseg.models.layers.sync_batch_norm import SyncBatchNorm2d

# These do nothing to shapes.
_SAME_SHAPE = (
    nn.BatchNorm2d,
    nn.SyncBatchNorm,
    SyncBatchNorm2d,
    nn.ReLU,
    nn.ReLU6,
    GELU,
    nn.SiLU,
    nn.Sigmoid,
)
# Called with a layer, what it takes and what it gives.
Observer = Callable[[nn.Cell, tuple[ms.Tensor, ...], ms.Tensor], None]


@contextmanager
def walking(observe: Observer) -> Iterator[None]:
    """Let layers give zeros of the right shape instead of computing, in PyNative mode.

    Convolutions, products, norms and activations do so and are told of; whatever else a network
    does (sums, resizes, reshapes) is computed as always.

    Args:
        observe: Called for every such layer that runs.
    """

    def convolve(cell: nn.Conv2d, x: ms.Tensor) -> ms.Tensor:
        n, _, h, w = x.shape
        out_h, out_w = (_after(cell, axis, length) for axis, length in enumerate((h, w)))
        return tell(cell, (x,), (n, cell.out_channels, out_h, out_w))

    def connect(cell: nn.Dense, x: ms.Tensor) -> ms.Tensor:
        return tell(cell, (x,), (*x.shape[:-1], cell.out_channels))

    def multiply(cell: BatchProduct, a: ms.Tensor, b: ms.Tensor) -> ms.Tensor:
        rows = a.shape[2] if cell.transposes[0] else a.shape[1]
        columns = b.shape[1] if cell.transposes[1] else b.shape[2]
        return tell(cell, (a, b), (a.shape[0], rows, columns))

    def keep(cell: nn.Cell, x: ms.Tensor) -> ms.Tensor:
        return tell(cell, (x,), x.shape)

    def tell(cell: nn.Cell, inputs: tuple[ms.Tensor, ...], shape: tuple[int, ...]) -> ms.Tensor:
        output = ops.zeros(shape, ms.float32)
        observe(cell, inputs, output)
        return output

    before = ms.get_context('mode')
    ms.set_context(mode=ms.PYNATIVE_MODE)
    try:
        with ExitStack() as stack:
            for kind, stand_in in (
                (nn.Conv2d, convolve),
                (nn.Dense, connect),
                (BatchProduct, multiply),
                *((kind, keep) for kind in _SAME_SHAPE),
            ):
                stack.enter_context(mock.patch.object(kind, 'construct', stand_in))
            yield
    finally:
        ms.set_context(mode=before)


def _after(conv: nn.Conv2d, axis: int, length: int) -> int:
    """Return a convolution's output length along an axis."""
    stride, dilation = conv.stride[axis], conv.dilation[axis]
    if conv.pad_mode == 'same':
        return -(-length // stride)
    padding = 0
    if conv.pad_mode == 'pad':
        given = conv.padding
        padding = 2 * given if isinstance(given, int) else sum(given[2 * axis : 2 * axis + 2])
    return (length + padding - dilation * (conv.kernel_size[axis] - 1) - 1) // stride + 1
