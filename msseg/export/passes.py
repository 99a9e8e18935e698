"""Passes over a network's graph: folded batch norms and convolutions of concatenated maps."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from msseg.models.analysis.graph import Graph, Node

CONV = 'ConvWithBias'
FIRST_CHANNELS = 'FirstChannels'
# ONNX Runtime is fastest on CPUs where channels come in blocks of 16 (its NCHWc layout); elsewhere
# it unfolds the input of a convolution, and before a block it reorders what it reads.
_BLOCK = 16


def operand(graph: Graph, node: Node, index: int, name: str) -> Any:
    """Return a setting of a node: an operand in some MindSpore versions, an attribute in others.

    Args:
        graph: The node's graph.
        node: The operation.
        index: Position of the operand.
        name: Name of the attribute.

    Raises:
        ValueError: The network computes the setting, or the node does not have it.
    """
    if index < len(node.inputs):
        if node.inputs[index] in graph.values:
            return graph.values[node.inputs[index]]
        raise ValueError(f'{node.op}: its {name} is computed by the network, expected a constant')
    if name not in node.attributes:
        raise ValueError(f'{node.op}: has no {name}, but {sorted(node.attributes)}')
    return node.attributes[name]


# ------------------------------------------------------------ batch norms


@dataclass(frozen=True)
class Folding:
    """A batch norm that goes into a convolution.

    Attributes:
        conv: Name of the convolution's weight.
        norm: Name of the norm's scale.
        scale: Factor of the convolution's output channels.
        shift: Added to them then.
    """

    conv: str
    norm: str
    scale: np.ndarray
    shift: np.ndarray


def fold_graph(graph: Graph) -> list[Folding]:
    """Join each convolution with the bias and the batch norm behind it, where only they read it.

    Args:
        graph: The network; its convolutions become nodes `CONV` of input, weight and bias, except
            those whose weights it computes.

    Returns:
        What was folded.
    """
    reshaped = _reshape_weights(graph)
    users = graph.users()
    foldings: list[Folding] = []
    joined: dict[str, str] = {}
    for node in [each for each in graph.nodes if each.op == 'Conv2D']:
        weight = graph.values.get(node.inputs[1])
        if weight is None:  # the network computes it
            continue
        bias, last = np.zeros(len(weight), weight.dtype), node
        following = _sole_user(graph, users, last)
        if following is not None and following.op == 'BiasAdd':
            bias, last = graph.values[following.inputs[1]], following
            following = _sole_user(graph, users, last)
        # of a reshaped weight, no cell could be folded as the graph is
        is_own = node.inputs[1] not in reshaped
        if following is not None and is_own and _is_inference_norm(graph, following):
            folding = _folding(graph, node, following)
            weight = weight * folding.scale[:, None, None, None]
            bias, last = bias * folding.scale + folding.shift, following
            foldings.append(folding)
        names = [f'{node.name}/weight', f'{node.name}/bias']
        graph.values.update(zip(names, (weight, bias), strict=True))
        node.op, node.inputs = CONV, [node.inputs[0], *names]
        if last is not node:
            joined[last.name] = node.name
    for node in graph.nodes:
        node.inputs = [joined.get(name, name) for name in node.inputs]
    graph.output = joined.get(graph.output, graph.output)
    graph.drop_unused()
    return foldings


def _reshape_weights(graph: Graph) -> set[str]:
    """Turn weights that the network reshapes, as `Conv1d` does, into values; return their names."""
    nodes = [
        node
        for node in graph.nodes
        if node.op in ('ExpandDims', 'Reshape')
        and isinstance(graph.values.get(node.inputs[0]), np.ndarray)
    ]
    for node in nodes:
        graph.values[node.name] = graph.values[node.inputs[0]].reshape(node.shape)
    names = {node.name for node in nodes}
    graph.nodes = [node for node in graph.nodes if node.name not in names]
    return names


def fold_cells(network: nn.Cell, foldings: list[Folding]) -> None:
    """Fold batch norms into the convolutions of a network.

    Weights that several convolutions share are left alone, and so are their norms.

    Args:
        network: Changed: a bias replaces each folded norm.
        foldings: What `fold_graph` found in it.
    """
    counts = Counter(name for each in foldings for name in (each.conv, each.norm))
    by_norm = {each.norm: each for each in foldings if counts[each.conv] == counts[each.norm] == 1}
    by_conv = {each.conv: each for each in by_norm.values()}
    # one for each norm, which several cells may hold
    biases = {name: ChannelBias(each.shift) for name, each in by_norm.items()}
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
                bias = biases[gamma.name]
                if isinstance(cell, nn.SequentialCell):
                    cell[index] = bias
                else:
                    setattr(cell, name, bias)
                # MindSpore has just named it after the innermost cell alone.
                bias.bias.name = f'{gamma.name}.folded'


class ChannelBias(nn.Cell):
    """Add a number to each channel.

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
    names = (node.inputs[1].partition(':')[2] for node in (conv, norm))
    return Folding(*names, factor.astype(np.float32), (shift - mean * factor).astype(np.float32))


def _is_inference_norm(graph: Graph, node: Node) -> bool:
    return node.op == 'BatchNorm' and not operand(graph, node, 5, 'is_training')


def _sole_user(graph: Graph, users: dict[str, list[Node]], node: Node) -> Node | None:
    found = users.get(node.name, [])
    return found[0] if len(found) == 1 and node.name != graph.output else None


def _multiply(parameter: ms.Parameter, factor: np.ndarray) -> None:
    parameter.set_data(ms.Tensor(parameter.asnumpy() * factor, parameter.dtype))


# ------------------------------------------------------------ convolutions of concatenated maps


def rearrange_concat_convs(graph: Graph) -> None:
    """Give convolutions of concatenated maps inputs in whole blocks of channels.

    A convolution of concatenated maps that each are whole blocks becomes the sum of one convolution
    per map: nothing is concatenated nor reordered (OCR's bottleneck). Other concatenations that
    only convolutions read are extended to whole blocks by channels that have weights of 0
    (HRNet-W18's 270 channels).

    Args:
        graph: The network, batch norms folded; changed.
    """
    users = graph.users()
    packs = {node.name: node for node in graph.nodes if node.op == 'MakeTuple'}
    for concat in [node for node in graph.nodes if _joins_channels(graph, node)]:
        readers = users.get(concat.name, [])
        if concat.name == graph.output or not all(_is_plain(each) for each in readers):
            continue
        pack = packs[concat.inputs[0]]
        channels = [graph.shape_of(name)[1] for name in pack.inputs]
        if all(number % _BLOCK == 0 for number in channels):
            for conv in readers:
                _split(graph, conv, pack.inputs, channels)
        else:
            _extend(graph, concat, pack, readers, channels)
    graph.drop_unused()


def _joins_channels(graph: Graph, node: Node) -> bool:
    is_joined = node.op == 'Concat' and len(node.shape) == 4
    return is_joined and operand(graph, node, 1, 'axis') in (1, -3)


def _is_plain(node: Node) -> bool:
    return node.op == CONV and node.attributes.get('group', 1) == 1


def _split(graph: Graph, conv: Node, parts: list[str], channels: list[int]) -> None:
    """Replace a convolution by a sum of convolutions, which keeps its name."""
    _, weight, bias = conv.inputs
    pieces = np.split(graph.values[weight], np.cumsum(channels)[:-1], axis=1)
    new: list[Node] = []
    for index, (part, piece) in enumerate(zip(parts, pieces, strict=True)):
        name = f'{conv.name}/part{index}'
        graph.values[f'{name}/weight'] = piece
        graph.values[f'{name}/bias'] = graph.values[bias] if index == 0 else 0 * graph.values[bias]
        inputs = [part, f'{name}/weight', f'{name}/bias']
        new.append(Node(CONV, name, inputs, dict(conv.attributes), conv.shape))
        if index:
            total = conv.name if index == len(parts) - 1 else f'{conv.name}/sum{index}'
            new.append(Node('Add', total, [new[-2].name, name], {}, conv.shape))
    place = graph.nodes.index(conv)
    graph.nodes[place : place + 1] = new


def _extend(graph: Graph, concat: Node, pack: Node, convs: list[Node], channels: list[int]) -> None:
    """Concatenate some channels once more, which the convolutions multiply by 0."""
    extra = -sum(channels) % _BLOCK
    if extra == 0 or extra > channels[0]:
        return
    batch, _, *size = graph.shape_of(pack.inputs[0])
    first = Node(FIRST_CHANNELS, f'{concat.name}/extra', pack.inputs[:1], {}, (batch, extra, *size))
    graph.nodes.insert(graph.nodes.index(pack), first)
    # others may read the same tuple
    longer = Node('MakeTuple', f'{pack.name}/longer', [*pack.inputs, first.name])
    graph.nodes.insert(graph.nodes.index(concat), longer)
    concat.inputs = [longer.name, *concat.inputs[1:]]
    concat.shape = (batch, sum(channels) + extra, *size)
    for conv in convs:
        source, weight, bias = conv.inputs
        name = f'{conv.name}/weight_and_0'
        graph.values[name] = np.pad(graph.values[weight], [(0, 0), (0, extra), (0, 0), (0, 0)])
        conv.inputs = [source, name, bias]
