"""How many multiplications and parameters the parts of a model have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from unittest import mock

import mindspore as ms
import numpy as np
from mindspore import nn, ops
from terminaltables import AsciiTable

from msseg.models.layers import BatchProduct

# These do nothing to shapes; what they multiply is little and is not counted.
_SAME_SHAPE = (nn.BatchNorm2d, nn.SyncBatchNorm, nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Sigmoid)


@dataclass
class Part:
    """A part of a model.

    Attributes:
        name: As its parameters' names begin.
        parameters: Trainable numbers, and running statistics not counted.
        macs: Multiplications with addition (MACs) of its convolutions and matrix products.
    """

    name: str
    parameters: int = 0
    macs: int = 0


def count_complexity(model: nn.Cell, size: tuple[int, int], depth: int = 2) -> list[Part]:
    """Count multiplications and parameters, part by part.

    The layers are walked with the shapes that they would have: convolutions and products are
    counted, and not computed. Not counted are normalisation, activations, sums and resizing.

    Args:
        model: A segmentor; what it runs to predict is counted.
        size: The image's (h, w).
        depth: How many levels of names make a part: 2 gives ``backbone.stage2``.

    Returns:
        The parts in the model's order. Heads that only train have parameters and no
        multiplications.
    """
    parts: dict[str, Part] = {}
    for parameter in model.trainable_params():
        name = _part_of(parameter.name, depth)
        parts.setdefault(name, Part(name)).parameters += int(np.prod(parameter.shape))
    names = {id(cell): name for name, cell in model.cells_and_names()}

    def count(cell: nn.Cell, macs: int) -> None:
        name = _part_of(f'{names[id(cell)]}.', depth)
        parts.setdefault(name, Part(name)).macs += macs

    before = ms.get_context('mode')
    ms.set_context(mode=ms.PYNATIVE_MODE)
    try:
        with _counting(count):
            model.set_train(False)
            model.predict(ops.zeros((1, 3, *size), ms.float32))
    finally:
        ms.set_context(mode=before)
    return list(parts.values())


def format_complexity(parts: list[Part], size: tuple[int, int]) -> str:
    """Return a table of parts with their sum."""
    rows = [['Part', 'Parameters', 'Share', 'GMACs', 'Share']]
    parameters = max(sum(part.parameters for part in parts), 1)
    macs = max(sum(part.macs for part in parts), 1)
    for part in [*parts, Part('all', parameters, macs)]:
        rows.append(
            [
                part.name,
                f'{part.parameters:,}',
                f'{100 * part.parameters / parameters:.1f} %',
                f'{part.macs / 1e9:.2f}',
                f'{100 * part.macs / macs:.1f} %',
            ]
        )
    table = AsciiTable(rows, f' one image of {size[0]}x{size[1]} ')
    table.justify_columns = dict.fromkeys(range(1, 5), 'right')
    table.inner_footing_row_border = True
    return table.table


@contextmanager
def _counting(count: Callable[[nn.Cell, int], None]) -> Iterator[None]:
    """Let layers count what they would multiply, and give zeros of the right shape."""

    def convolve(cell: nn.Conv2d, x: ms.Tensor) -> ms.Tensor:
        n, _, h, w = x.shape
        out_h, out_w = (_after(cell, axis, length) for axis, length in enumerate((h, w)))
        taps = cell.kernel_size[0] * cell.kernel_size[1] * cell.in_channels // cell.group
        count(cell, n * cell.out_channels * out_h * out_w * taps)
        return ops.zeros((n, cell.out_channels, out_h, out_w), ms.float32)

    def connect(cell: nn.Dense, x: ms.Tensor) -> ms.Tensor:
        count(cell, int(np.prod(x.shape)) * cell.out_channels)
        return ops.zeros((*x.shape[:-1], cell.out_channels), ms.float32)

    def multiply(cell: BatchProduct, a: ms.Tensor, b: ms.Tensor) -> ms.Tensor:
        n, rows, inner = a.shape if not cell.transposes[0] else (a.shape[0], a.shape[2], a.shape[1])
        columns = b.shape[1] if cell.transposes[1] else b.shape[2]
        count(cell, n * rows * inner * columns)
        return ops.zeros((n, rows, columns), ms.float32)

    def keep(cell: nn.Cell, x: ms.Tensor) -> ms.Tensor:
        return x

    with ExitStack() as stack:
        for kind, stand_in in (
            (nn.Conv2d, convolve),
            (nn.Dense, connect),
            (BatchProduct, multiply),
            *((kind, keep) for kind in _SAME_SHAPE),
        ):
            stack.enter_context(mock.patch.object(kind, 'construct', stand_in))
        yield


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


def _part_of(name: str, depth: int) -> str:
    return '.'.join(name.split('.')[:-1][:depth]) or name.rstrip('.') or 'model'
