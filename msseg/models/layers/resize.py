"""Bilinear and nearest resize, and the repetition of pixels."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from msseg.utils.target import get_target


def resize(x: ms.Tensor, size: tuple[int, int], align_corners: bool = False) -> ms.Tensor:
    """Resize bilinearly as PyTorch does.

    Args:
        x: (n, c, h, w).
        size: New (h, w); may be known only at run time.
        align_corners: Whether the corner pixels' centres are kept in place (True) or the image's
            outer edges (False).

    Returns:
        (n, c, size[0], size[1]), of x's type.
    """
    if _on_cpu():
        return _CORNERS_ON_CPU(x, size) if align_corners else _CENTRES_ON_CPU(x, size)
    return _CORNERS(x, size) if align_corners else _CENTRES(x, size)


def resize_nearest(x: ms.Tensor, size: tuple[int, int], always_resizes: bool = False) -> ms.Tensor:
    """Resize (n, c, h, w) as PyTorch's nearest: pixel i of a length is floor(i * old / new).

    Where `always_resizes`, the operation is the same for all sizes.
    """
    h, w = x.shape[2:]
    is_known = not always_resizes and ops.isconstant(h * w * size[0] * size[1])
    if is_known and (h, w) == ((size[0] + 1) // 2, (size[1] + 1) // 2):
        return repeat_pixels(x, 2, size)
    return _NEAREST(x, size)


class Rescale(nn.Cell):
    """Resizes (n, c, h, w) bilinearly by a factor, not to a size.

    PyTorch takes the distance of pixels from the factor, not from the sizes: by a half, each pixel
    of the result is the mean of 2 x 2 pixels, and an odd last row or column is left out.

    Args:
        factor: A whole number, or 1 divided by one.
        align_corners: See `resize`.

    Raises:
        ValueError: Another factor.

    Source: PyTorch ``nn.functional.interpolate`` with ``scale_factor``.

    Examples:
        >>> Rescale(0.5)(ms.Tensor([[[[1.0, 2.0, 9.0], [3.0, 6.0, 9.0]]]])).asnumpy().tolist()
        [[[[3.0]]]]
    """

    def __init__(self, factor: float, align_corners: bool = False) -> None:
        super().__init__()
        is_enlarged = factor >= 1
        steps = round(factor if is_enlarged else 1 / factor)
        if (factor if is_enlarged else 1 / factor) != steps:
            raise ValueError(
                f'Rescale: factor is {factor!r}, expected a whole number or 1 divided by one'
            )
        self.factor = steps if is_enlarged else 1
        self.divisor = 1 if is_enlarged else steps
        self.align_corners = align_corners
        is_mean = self.divisor == 2 and not align_corners
        self.mean = nn.AvgPool2d(2, 2) if is_mean else None

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Return (n, c, floor(factor * h), floor(factor * w))."""
        if self.factor == self.divisor:
            return x
        if self.mean is not None:
            return self.mean(x)
        h, w = x.shape[2:]
        new_h, new_w = h // self.divisor, w // self.divisor
        if self.divisor > 1 and not self.align_corners:
            x = x[:, :, : new_h * self.divisor, : new_w * self.divisor]
        return resize(x, (new_h * self.factor, new_w * self.factor), self.align_corners)


def repeat_pixels(x: ms.Tensor, factor: int, size: tuple[int, int]) -> ms.Tensor:
    """Repeat each pixel as PyTorch's nearest upsampling by a whole factor does, and crop.

    Args:
        x: (n, c, h, w); h and w may be known only at run time.
        factor: How often in either direction.
        size: The (h, w) to crop to, at most `factor` times that of `x`.

    Returns:
        (n, c, size[0], size[1]).
    """
    n, c, h, w = x.shape
    # Twice as fast with its gradient as repeat_interleave or the resize operator (MindSpore 2.8).
    x = ops.broadcast_to(x.reshape(n, c, h, 1, w, 1), (n, c, h, factor, w, factor))
    x = x.reshape(n, c, h * factor, w * factor)
    if ops.isconstant(h * w * size[0] * size[1]) and (h * factor, w * factor) == (size[0], size[1]):
        return x  # a slice copies even where it crops nothing
    return x[:, :, : size[0], : size[1]]


def resize_matrix(old: int, new: int, align_corners: bool) -> np.ndarray:
    """Return the float32 (new, old) matrix that resizes a vector linearly."""
    if align_corners:
        position = np.arange(new) * ((old - 1) / max(new - 1, 1))
    else:
        position = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    low = np.minimum(position.astype(int), old - 1)
    high = np.minimum(low + 1, old - 1)
    matrix = np.zeros((new, old), np.float32)
    np.add.at(matrix, (np.arange(new), low), 1 - (position - low))
    np.add.at(matrix, (np.arange(new), high), position - low)
    return matrix


class _ResizeOnCpu(nn.Cell):
    """The operator, with a gradient by two matrix products.

    MindSpore's own gradient on the CPU is several times slower (2.8): a tenth of a train step.
    """

    def __init__(self, align_corners: bool) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.operator = _CORNERS if align_corners else _CENTRES
        self.product = ops.MatMul()

    def construct(self, x: ms.Tensor, size: tuple[int, int]) -> ms.Tensor:
        return self.operator(x, size)

    def bprop(
        self, x: ms.Tensor, size: tuple[int, int], out: ms.Tensor, dout: ms.Tensor
    ) -> tuple[ms.Tensor, int]:
        n, c, h, w = x.shape
        new_h, new_w = dout.shape[2:]
        columns = _constant_matrix(w, new_w, self.align_corners)
        rows = _constant_matrix(h, new_h, self.align_corners)
        dout = dout.astype(ms.float32).reshape(n * c * new_h, new_w)
        narrow = self.product(dout, columns).reshape(n * c, new_h, w)
        dx = ops.matmul(rows.transpose(), narrow).reshape(n, c, h, w)
        return dx.astype(x.dtype), 0


@ops.constexpr
def _constant_matrix(old: int, new: int, align_corners: bool) -> ms.Tensor:
    return ms.Tensor(resize_matrix(old, new, align_corners))


@ops.constexpr
def _on_cpu() -> bool:
    return get_target().name == 'CPU'


# ops.interpolate does not survive dynamic shapes, and the older resize operators place pixels
# differently from PyTorch (MindSpore 2.7 to 2.10).
_CENTRES = ops.ResizeBilinearV2(align_corners=False, half_pixel_centers=True)
_CORNERS = ops.ResizeBilinearV2(align_corners=True, half_pixel_centers=False)
_NEAREST = ops.ResizeNearestNeighborV2(align_corners=False, half_pixel_centers=False)
_CENTRES_ON_CPU = _ResizeOnCpu(align_corners=False)
_CORNERS_ON_CPU = _ResizeOnCpu(align_corners=True)
