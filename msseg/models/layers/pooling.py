"""Average pooling: adaptive, with zeros around the map, around each pixel, and over blocks."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from msseg.utils.arguments import NonNegativeInt, PositiveInt, checked
from msseg.utils.errors import ArgumentError


class AdaptiveAvgPool2d(nn.Cell):
    """Average (n, c, h, w) over `bins` x `bins` parts of the map.

    Where `bins` does not divide the height or the width, neighbouring parts overlap.

    Args:
        bins: Height and width of the result.

    Source: PyTorch ``nn.AdaptiveAvgPool2d``.

    Examples:
        >>> AdaptiveAvgPool2d(2)(ms.Tensor([[[[1.0, 2.0, 6.0]]]]))[0, 0, 0].asnumpy().tolist()
        [1.5, 4.0]
    """

    @checked
    def __init__(self, bins: PositiveInt) -> None:
        super().__init__()
        self.bins = bins
        self.always_resizes = False  # set by an export for any size
        self.operator = ops.AdaptiveAvgPool2D((bins, bins))
        self.mean = ops.ReduceMean(keep_dims=True)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Average to (n, c, bins, bins), of x's type."""
        if self.bins == 1:
            return self.mean(x, (2, 3))
        h, w = x.shape[2:]
        if self.always_resizes or not (ops.isconstant(h) and ops.isconstant(w)):
            return self.operator(x)
        # Five to ten times as fast backward as the operator (MindSpore 2.8, CPU).
        rows, columns = _matrix(h, self.bins, False), _matrix(w, self.bins, True)
        return ops.matmul(ops.matmul(rows, x.astype(ms.float32)), columns).astype(x.dtype)


class AvgPool2d(nn.Cell):
    """Average (n, c, h, w) over windows; zeros around the map count.

    It is a depthwise convolution. With padding, MindSpore's ``nn.AvgPool2d`` pools in three
    dimensions, which OpenCV's dnn and Ascend 910B do not; ``ops.Pad`` before a pooling without
    padding took eight times as long on the CPU (MindSpore 2.8).

    Args:
        channels: Channels of the map.
        kernel_size: Height and width of the windows.
        stride: Step in pixels.
        padding: Zero pixels added on each side.

    Source: PyTorch ``nn.AvgPool2d``.

    Examples:
        >>> AvgPool2d(1, 3, 2, 1)(ops.ones((1, 1, 3, 4)))[0, 0, 0].asnumpy().round(3)
        array([0.444, 0.667], dtype=float32)
    """

    @checked
    def __init__(
        self,
        channels: PositiveInt,
        kernel_size: PositiveInt,
        stride: PositiveInt,
        padding: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        share = np.float32(1 / kernel_size**2)
        self.weight = ms.Tensor(np.full((channels, 1, kernel_size, kernel_size), share))
        self.mean = ops.Conv2D(
            channels, kernel_size, pad_mode='pad', pad=padding, stride=stride, group=channels
        )

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Average to (n, c, h', w'), of x's type."""
        return self.mean(x, self.weight.astype(x.dtype))


class SameAvgPool2d(nn.Cell):
    """Average (n, c, h, w) over the window around each pixel, at the border over fewer pixels.

    Args:
        kernel_size: Height and width of the windows, an odd number.

    Source: PyTorch ``nn.AvgPool2d`` of stride 1 with ``count_include_pad=False``.

    Examples:
        >>> SameAvgPool2d(3)(ms.Tensor([[[[1.0, 2.0, 6.0]]]])).asnumpy().tolist()
        [[[[1.5, 3.0, 4.0]]]]
    """

    @checked
    def __init__(self, kernel_size: PositiveInt) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ArgumentError(
                key='kernel_size', got=kernel_size, expected='an odd number', who='SameAvgPool2d'
            )
        self.mean = ops.AvgPool(kernel_size, 1, 'same')

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Average to the same shape."""
        return self.mean(x)


class BlockAvgPool2d(nn.Cell):
    """Average (n, c, h, w) over blocks of pixels, those at the border over fewer.

    Args:
        stride: Height and width of the blocks.

    Source: PyTorch ``nn.AvgPool2d`` with ``ceil_mode=True`` and ``count_include_pad=False``.

    Examples:
        >>> BlockAvgPool2d(2)(ms.Tensor([[[[1.0, 3.0, 5.0]]]])).asnumpy().tolist()
        [[[[2.0, 5.0]]]]
    """

    @checked
    def __init__(self, stride: PositiveInt) -> None:
        super().__init__()
        self.stride = stride
        self.always_resizes = False  # set by an export for any size
        self.pad = ops.Pad(((0, 0), (0, 0), (0, stride - 1), (0, stride - 1)))
        self.mean = ops.AvgPool(stride, stride, 'valid')
        steps = (1, stride, stride)
        self.operator = ops.AvgPool3D(steps, steps, ceil_mode=True, count_include_pad=False)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Average to (n, c, h', w'), sizes divided by the stride and rounded up."""
        h, w = x.shape[2:]
        is_known = not self.always_resizes and ops.isconstant(h) and ops.isconstant(w)
        if is_known and h % self.stride == 0 and w % self.stride == 0:
            return self.mean(x)
        if is_known:
            return self.mean(self.pad(x)) / _inside(h, w, self.stride).astype(x.dtype)
        return self.operator(x.expand_dims(2)).squeeze(2)


def pool_matrix(old: int, new: int) -> np.ndarray:
    """Return the float32 (new, old) matrix that averages a vector over `new` parts."""
    part, place = np.arange(new).reshape(-1, 1) * old, np.arange(old) * new
    inside = (part < place + new) & (place < part + old)
    return (inside / inside.sum(axis=1, keepdims=True)).astype(np.float32)


@ops.constexpr
def _matrix(old: int, new: int, transpose: bool) -> ms.Tensor:
    matrix = pool_matrix(old, new)
    return ms.Tensor(np.ascontiguousarray(matrix.T) if transpose else matrix)


@ops.constexpr
def _inside(h: int, w: int, stride: int) -> ms.Tensor:
    """Return the share of each block that is inside the map, (1, 1, h', w')."""
    rows, columns = (np.minimum(n - np.arange(0, n, stride), stride) for n in (h, w))
    return ms.Tensor((np.outer(rows, columns) / stride**2)[None, None], ms.float32)
