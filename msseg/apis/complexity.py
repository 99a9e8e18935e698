"""How many multiplications and parameters the parts of a model have."""

from __future__ import annotations

from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import nn, ops
from terminaltables import AsciiTable

from msseg.apis.layer_shapes import walking
from msseg.models.layers import BatchProduct


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

    def count(cell: nn.Cell, inputs: tuple[ms.Tensor, ...], output: ms.Tensor) -> None:
        name = _part_of(f'{names[id(cell)]}.', depth)
        parts.setdefault(name, Part(name)).macs += _macs(cell, inputs, output)

    with walking(count):
        model.set_train(False)
        model.predict(ops.zeros((1, model.in_channels, *size), ms.float32))
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


def _macs(cell: nn.Cell, inputs: tuple[ms.Tensor, ...], output: ms.Tensor) -> int:
    if isinstance(cell, nn.Conv2d):
        taps = cell.kernel_size[0] * cell.kernel_size[1] * cell.in_channels // cell.group
        return output.size * taps
    if isinstance(cell, nn.Dense):
        return output.size * cell.in_channels
    if isinstance(cell, BatchProduct):
        return output.size * inputs[0].shape[1 if cell.transposes[0] else 2]
    return 0


def _part_of(name: str, depth: int) -> str:
    return '.'.join(name.split('.')[:-1][:depth]) or name.rstrip('.') or 'model'
