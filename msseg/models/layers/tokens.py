"""From images to the tokens of transformers and back, and tables of positions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from msseg.models.layers.conv import build_conv_layer
from msseg.models.layers.norm import build_norm_layer
from msseg.models.layers.resize import resize, resize_matrix, resize_nearest
from msseg.utils.errors import check_one_of

_PADDINGS = ('corner', 'same')
_CUBIC = -0.75  # PyTorch's coefficient


class AdaptivePad(nn.Cell):
    """Pad with zeros so that a sliding window covers every pixel.

    Args:
        kernel_size: Height and width of the window.
        stride: Its steps.
        dilation: Distance between its taps.
        padding: ``'corner'`` pads below and on the right, ``'same'`` on all sides.

    Source: MMSegmentation 0.30 ``AdaptivePadding``.
    """

    fixed_size_reason = 'its padding depends on the size'

    def __init__(
        self,
        kernel_size: tuple[int, int],
        stride: tuple[int, int],
        dilation: tuple[int, int] = (1, 1),
        padding: str = 'corner',
    ) -> None:
        super().__init__()
        check_one_of('padding', padding, _PADDINGS, who='AdaptivePad')
        self.reach = tuple((kernel_size[i] - 1) * dilation[i] + 1 for i in range(2))
        self.stride = stride
        self.is_same = padding == 'same'

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Pad (n, c, h, w)."""
        h, w = x.shape[2:]
        rows = max((-(-h // self.stride[0]) - 1) * self.stride[0] + self.reach[0] - h, 0)
        columns = max((-(-w // self.stride[1]) - 1) * self.stride[1] + self.reach[1] - w, 0)
        if rows == 0 and columns == 0:
            return x
        if self.is_same:
            top, left = rows // 2, columns // 2
        else:
            top, left = 0, 0
        return ops.Pad(((0, 0), (0, 0), (top, rows - top), (left, columns - left)))(x)


class PatchEmbed(nn.Cell):
    """Turn an image, or a map, into tokens by a strided convolution ``projection``.

    Args:
        in_channels: Channels of the image.
        embed_dims: Length of a token.
        kernel_size: Height and width of a patch in pixels.
        stride: Step from patch to patch; None: `kernel_size`.
        padding: Zero pixels on each side, or ``'corner'`` or ``'same'``: see `AdaptivePad`.
        dilation: Distance between the kernel's taps.
        bias: Whether the convolution has a bias.
        conv_type: Name of the convolution; see `build_conv_layer`.
        norm_cfg: The norm of the tokens, ``norm``; None for none.

    Source: MMSegmentation 0.30 ``PatchEmbed``.
    """

    def __init__(
        self,
        in_channels: int = 3,
        embed_dims: int = 768,
        kernel_size: int | tuple[int, int] = 16,
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] | str = 'corner',
        dilation: int | tuple[int, int] = 1,
        bias: bool = True,
        conv_type: str = 'Conv2d',
        norm_cfg: Mapping | None = None,
    ) -> None:
        super().__init__()
        stride = kernel_size if stride is None else stride
        self.pad = nn.Identity()
        if isinstance(padding, str):
            self.pad = AdaptivePad(_pair(kernel_size), _pair(stride), _pair(dilation), padding)
        self.projection = build_conv_layer(
            dict(type=conv_type),
            in_channels,
            embed_dims,
            kernel_size,
            stride=stride,
            padding=0 if isinstance(padding, str) else padding,
            dilation=dilation,
            bias=bias,
        )
        self.norm = nn.Identity() if norm_cfg is None else build_norm_layer(norm_cfg, embed_dims)[1]

    def construct(self, x: ms.Tensor) -> tuple[ms.Tensor, tuple[int, int]]:
        """Give (n, h' w', embed_dims) and (h', w') for (n, c, h, w)."""
        x = self.projection(self.pad(x))
        return self.norm(to_tokens(x)), x.shape[2:]


def to_tokens(x: ms.Tensor) -> ms.Tensor:
    """Turn a map (n, c, h, w) into tokens (n, h w, c)."""
    n, c, h, w = x.shape
    return x.reshape(n, c, h * w).transpose(0, 2, 1)


def to_map(x: ms.Tensor, size: tuple[int, int]) -> ms.Tensor:
    """Turn tokens (n, h w, c) into a map (n, c, h, w)."""
    n, _, c = x.shape
    return x.transpose(0, 2, 1).reshape(n, c, *size)


def resize_table(
    table: ms.Tensor,
    size: tuple[int, int],
    mode: Literal['bicubic', 'bilinear', 'nearest'] = 'bicubic',
) -> ms.Tensor:
    """Resize a table of positions to the patches of another image, as PyTorch's interpolation.

    Args:
        table: (1, c, h, w).
        size: New (h, w).
        mode: ``'bicubic'``, ``'bilinear'`` or ``'nearest'``.

    Returns:
        (1, c, size[0], size[1]).

    Examples:
        >>> resize_table(ms.Tensor([[[[0.0, 1.0, 2.0]]]]), (1, 2)).asnumpy().ravel().round(3)
        array([0.191, 1.809], dtype=float32)
    """
    if table.shape[2:] == size:
        return table
    if mode == 'nearest':
        return resize_nearest(table, size)
    if mode == 'bilinear':
        return resize(table, size)
    rows = _cubic_matrix(table.shape[2], size[0], False)
    columns = _cubic_matrix(table.shape[3], size[1], True)
    return ops.matmul(ops.matmul(rows, table), columns)


def resize_array(table: np.ndarray, size: tuple[int, int], mode: str = 'bicubic') -> np.ndarray:
    """Resize a numpy array (…, h, w) as `resize_table` does."""
    for axis in (0, 1):
        old, new = table.shape[-1], size[1 - axis]
        if mode == 'nearest':
            table = table[..., np.arange(new) * old // new]
        elif mode == 'bilinear':
            table = table @ resize_matrix(old, new, False).T
        else:
            table = table @ cubic_matrix(old, new).T
        table = table.swapaxes(-1, -2)
    return table


def fit_positions(
    table: np.ndarray, size: tuple[int, int], mode: str = 'bicubic', num_extra: int = 1
) -> np.ndarray | None:
    """Resize the positions of extra tokens and of the patches of a square map.

    Args:
        table: (1, num_extra + side * side, c). One position more, that of DeiT's token of
            distillation, is left out.
        size: (h, w) of the new map.
        mode: See `resize_table`.
        num_extra: Tokens besides the patches, before them: 1 for a class token.

    Returns:
        (1, num_extra + h * w, c); None for a table of other axes, or of a map that is not square.
    """
    count = table.shape[1] - num_extra if table.ndim == 3 and table.shape[0] == 1 else 0
    side = math.isqrt(max(count, 0))
    if side == 0 or count - side**2 not in (0, num_extra):
        return None
    patches = table[:, -(side**2) :].transpose(0, 2, 1).reshape(1, -1, side, side)
    patches = resize_array(patches, size, mode).reshape(1, table.shape[2], -1).transpose(0, 2, 1)
    return np.concatenate((table[:, :num_extra], patches), axis=1)


def cubic_matrix(old: int, new: int) -> np.ndarray:
    """Return the float32 (new, old) matrix that resizes a vector as PyTorch's bicubic mode."""
    position = (np.arange(new) + 0.5) * old / new - 0.5
    low = np.floor(position).astype(int)
    matrix = np.zeros((new, old))
    for offset in range(-1, 3):
        distance = np.abs(position - low - offset)
        near = ((_CUBIC + 2) * distance - (_CUBIC + 3)) * distance**2 + 1
        far = _CUBIC * (((distance - 5) * distance + 8) * distance - 4)
        weight = np.where(distance <= 1, near, far)
        np.add.at(matrix, (np.arange(new), np.clip(low + offset, 0, old - 1)), weight)
    return matrix.astype(np.float32)


@ops.constexpr
def _cubic_matrix(old: int, new: int, transpose: bool) -> ms.Tensor:
    matrix = cubic_matrix(old, new)
    return ms.Tensor(np.ascontiguousarray(matrix.T) if transpose else matrix)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)
