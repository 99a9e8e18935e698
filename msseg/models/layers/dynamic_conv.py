"""Convolution of every sample with kernels of its own."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn, ops

from msseg.utils.layer_traits import register_traits


class DynamicDepthwiseConv(nn.Cell):
    """Convolves each channel of each sample with a kernel that is an input, too.

    The result has the size of the map. Before the map are ``kernel_size // 2`` zeros; behind it are
    as many, or one fewer for an even size.

    Args:
        kernel_size: Height and width of the kernels.

    Examples:
        >>> kernels = ms.Tensor([[[[1.0, 10.0, 100.0]] * 3]]) / 3
        >>> x = ms.Tensor([[[[1.0, 2.0, 3.0]] * 3]])
        >>> DynamicDepthwiseConv(3)(x, kernels)[0, 0, 1].round().asnumpy().tolist()
        [210.0, 321.0, 32.0]
    """

    fixed_size_reason = 'there is a group of the convolution for each channel of each image'
    runs_at_any_size = True

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        before = kernel_size // 2
        self.pad = (before, kernel_size - 1 - before) * 2

    def construct(self, x: ms.Tensor, kernels: ms.Tensor) -> ms.Tensor:
        """Give (n, c, h, w).

        Args:
            x: (n, c, h, w).
            kernels: (n, c, kernel_size, kernel_size).
        """
        n, c, h, w = x.shape
        size = self.kernel_size
        if ops.isconstant(n):
            count = n * c
            conv = ops.Conv2D(count, size, pad_mode='pad', pad=self.pad, group=count)
            y = conv(x.reshape(1, count, h, w), kernels.reshape(count, 1, size, size))
            return y.reshape(n, c, h, w)
        # a convolution's number of groups must be known
        columns = ops.unfold(x, size, padding=size // 2)
        columns = columns.reshape(n * c, size * size, columns.shape[2])
        y = ops.bmm(kernels.reshape(n * c, 1, size * size), columns)
        more = 1 - size % 2
        return y.reshape(n, c, h + more, w + more)[:, :, :h, :w]


register_traits(DynamicDepthwiseConv, precision='low')
