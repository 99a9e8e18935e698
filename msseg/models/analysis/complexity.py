"""Multiplications and parameters of the parts of a model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import nn
from terminaltables import AsciiTable

from msseg.models.analysis.graph import Graph, Node
from msseg.models.analysis.read_graph import read_graph

Count = Callable[[Graph, Node], int]
_COUNTS: dict[str, Count] = {}


def counts(*operators: str) -> Callable[[Count], Count]:
    """Return a decorator that registers a function which counts the MACs of operators.

    The function takes the graph and one of its nodes; `Graph.shape_of` gives the shapes of operands
    and ``node.shape`` that of the result.

    Args:
        *operators: MindSpore's names of the operators, such as ``'Conv2D'``.

    Examples:
        >>> @counts('OuterProduct')
        ... def count_outer(graph, node):
        ...     return math.prod(node.shape)
    """

    def register(count: Count) -> Count:
        _COUNTS.update(dict.fromkeys(operators, count))
        return count

    return register


@dataclass
class Part:
    """A part of a model, by the beginning of its parameters' names.

    Attributes:
        name: The beginning.
        parameters: Number of trainable values; running statistics are not counted.
        macs: Multiplications with addition (MACs) of its convolutions and matrix products.
    """

    name: str
    parameters: int = 0
    macs: int = 0


def count_complexity(model: nn.Cell, size: tuple[int, int], depth: int = 2) -> list[Part]:
    """Count multiplications and parameters, part by part.

    The network is compiled, but not run, and the operators of the graph are counted: convolutions,
    matrix products and einsum, wherever the code calls them. Not counted are normalisation,
    activations, sums and resizing.

    Args:
        model: A segmentor, of which `predict` is counted.
        size: The image's (h, w).
        depth: Number of levels of names in a part: 2 gives ``backbone.stage2``.

    Returns:
        The parts in the model's order. Heads that only train have parameters and no
        multiplications.
    """
    if hasattr(model, 'check_image_size'):
        model.check_image_size(size)
    parts: dict[str, Part] = {}
    for parameter in model.trainable_params():
        name = _part_of(parameter.name, depth)
        parts.setdefault(name, Part(name)).parameters += int(np.prod(parameter.shape))
    graph = read_graph(_Prediction(model), (1, model.in_channels, *size))
    for node in graph.nodes:
        if node.op in _COUNTS:
            name = _part_of(f'{node.scope.partition("segmentor.")[2]}.', depth)
            parts.setdefault(name, Part(name)).macs += _COUNTS[node.op](graph, node)
    return list(parts.values())


def format_complexity(parts: list[Part], size: tuple[int, int]) -> str:
    """Return a table of parts with their sum."""
    rows = [['Part', 'Parameters', 'Share', 'GMACs', 'Share']]
    parameters = max(sum(part.parameters for part in parts), 1)
    macs = max(sum(part.macs for part in parts), 1)
    for part in [*parts, Part('all', parameters, macs)]:
        shares = (part.parameters / parameters, part.macs / macs)
        first, second = (f'{100 * share:.1f} %' for share in shares)
        rows.append([part.name, f'{part.parameters:,}', first, f'{part.macs / 1e9:.2f}', second])
    table = AsciiTable(rows, f' one image of {size[0]}x{size[1]} ')
    table.justify_columns = dict.fromkeys(range(1, 5), 'right')
    table.inner_footing_row_border = True
    return table.table


class _Prediction(nn.Cell):
    """A segmentor's ``predict`` as ``construct``."""

    def __init__(self, segmentor: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.segmentor = segmentor
        self.set_train(False)

    def construct(self, image: ms.Tensor) -> ms.Tensor:
        return self.segmentor.predict(image)


@counts('Conv2D')
def _count_convolution(graph: Graph, node: Node) -> int:
    return math.prod(node.shape) * math.prod(graph.shape_of(node.inputs[1])[1:])


@counts('Conv2DTranspose')
def _count_transposed_convolution(graph: Graph, node: Node) -> int:
    spread = math.prod(graph.shape_of(node.inputs[1])[1:])
    return math.prod(graph.shape_of(node.inputs[0])) * spread


@counts('MatMul', 'BatchMatMul', 'MatMulExt', 'BatchMatMulExt', 'Dense')
def _count_product(graph: Graph, node: Node) -> int:
    first = graph.shape_of(node.inputs[0])
    is_turned = len(node.inputs) > 2 and graph.values.get(node.inputs[2]) is True
    return math.prod(node.shape) * first[-2 if is_turned else -1]


@counts('Einsum')
def _count_einsum(graph: Graph, node: Node) -> int:
    """Multiply the lengths of all indices, as if computed by one loop."""
    pack = next(each for each in graph.nodes if each.name == node.inputs[0])
    terms = node.attributes['equation'].partition('->')[0].split(',')
    lengths: dict[str, int] = {}
    for term, name in zip(terms, pack.inputs, strict=True):
        lengths.update(zip(term.strip(), graph.shape_of(name), strict=True))
    return math.prod(lengths.values())


def _part_of(name: str, depth: int) -> str:
    return '.'.join(name.split('.')[:-1][:depth]) or name.rstrip('.') or 'model'
