"""Batch norm folded into the convolution before it."""

from __future__ import annotations

from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from msseg.export.operands import operand
from msseg.models.analysis.graph import Graph, Node

CONV = 'ConvWithBias'


@dataclass(frozen=True)
class Folding:
    """A batch norm that goes into a convolution.

    Attributes:
        conv: Name of the convolution's weight.
        norm: Name of the norm's scale.
        scale: What the convolution's channels are multiplied by.
        shift: What is added to them then.
    """

    conv: str
    norm: str
    scale: np.ndarray
    shift: np.ndarray


def fold_graph(graph: Graph) -> list[Folding]:
    """Join each convolution with the bias and the batch norm behind it, where only they read it.

    Args:
        graph: The network; its convolutions become nodes `CONV` of input, weight and bias.

    Returns:
        What was folded.
    """
    users = graph.users()
    foldings: list[Folding] = []
    joined: dict[str, str] = {}
    for node in [each for each in graph.nodes if each.op == 'Conv2D']:
        weight = graph.values[node.inputs[1]]
        bias, last, folding = np.zeros(len(weight), weight.dtype), node, None
        following = _sole_user(graph, users, last)
        if following is not None and following.op == 'BiasAdd':
            bias, last = graph.values[following.inputs[1]], following
            following = _sole_user(graph, users, last)
        if following is not None and _is_inference_norm(graph, following):
            folding = _folding(graph, node, following)
            weight = weight * folding.scale[:, None, None, None]
            bias, last = bias * folding.scale + folding.shift, following
            foldings.append(folding)
        names = [f'{node.name}/weight', f'{node.name}/bias']
        graph.values.update(zip(names, (weight, bias), strict=True))
        node.op, node.inputs = CONV, [node.inputs[0], *names]
        if last is not node:
            joined[last.name] = node.name
    _read_instead(graph, joined)
    return foldings


def fold_cells(network: nn.Cell, foldings: list[Folding]) -> None:
    """Fold batch norms into the convolutions of a network.

    Weights that several convolutions share are left alone, and so are their norms.

    Args:
        network: Changed: in place of a folded norm a bias is added.
        foldings: What `fold_graph` found in it.
    """
    counts = {name: sum(name in (each.conv, each.norm) for each in foldings)
              for each in foldings for name in (each.conv, each.norm)}  # fmt: skip
    by_norm = {each.norm: each for each in foldings if counts[each.conv] == counts[each.norm] == 1}
    by_conv = {each.conv: each for each in by_norm.values()}
    for _, cell in list(network.cells_and_names()):
        weight = getattr(cell, 'weight', None)
        if isinstance(cell, nn.Conv2d) and weight.name in by_conv:
            scale = by_conv[weight.name].scale
            _multiply(weight, scale[:, None, None, None])
            if cell.has_bias:
                _multiply(cell.bias, scale)
        for index, (name, child) in enumerate(cell.name_cells().items()):
            gamma = getattr(child, 'gamma', None)
            if isinstance(child, nn.BatchNorm2d) and gamma.name in by_norm:
                bias, old_name = ChannelBias(by_norm[gamma.name].shift), gamma.name
                if isinstance(cell, nn.SequentialCell):
                    cell[index] = bias
                else:
                    setattr(cell, name, bias)
                # MindSpore has just named it after the innermost cell alone.
                bias.bias.name = f'{old_name}.folded'


class ChannelBias(nn.Cell):
    """Adds a number to each channel.

    Args:
        bias: The numbers.
    """

    def __init__(self, bias: np.ndarray) -> None:
        super().__init__()
        self.bias = ms.Parameter(ms.Tensor(bias, ms.float32))
        self.add = ops.BiasAdd()

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Add to (n, c, h, w)."""
        return self.add(x, self.bias)


def _folding(graph: Graph, conv: Node, norm: Node) -> Folding:
    scale, shift, mean, variance = (
        graph.values[name].astype(np.float64) for name in norm.inputs[1:5]
    )
    factor = scale / np.sqrt(variance + operand(graph, norm, 6, 'epsilon'))
    return Folding(
        _parameter(conv.inputs[1]),
        _parameter(norm.inputs[1]),
        factor.astype(np.float32),
        (shift - mean * factor).astype(np.float32),
    )


def _is_inference_norm(graph: Graph, node: Node) -> bool:
    return node.op == 'BatchNorm' and not operand(graph, node, 5, 'is_training')


def _sole_user(graph: Graph, users: dict[str, list[Node]], node: Node) -> Node | None:
    found = users.get(node.name, [])
    return found[0] if len(found) == 1 and node.name != graph.output else None


def _read_instead(graph: Graph, joined: dict[str, str]) -> None:
    for node in graph.nodes:
        node.inputs = [joined.get(name, name) for name in node.inputs]
    graph.output = joined.get(graph.output, graph.output)
    graph.drop_unused()


def _parameter(name: str) -> str:
    return name.partition(':')[2]


def _multiply(parameter: ms.Parameter, factor: np.ndarray) -> None:
    parameter.set_data(ms.Tensor(parameter.asnumpy() * factor, parameter.dtype))
