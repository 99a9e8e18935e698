"""Convolutions of concatenated maps, in a form that ONNX Runtime computes fast.

On CPUs it is fastest where channels come in blocks of 16 (its NCHWc layout); elsewhere it unfolds
the input of a convolution, and before a block it reorders what it reads.
"""

from __future__ import annotations

import numpy as np

from msseg.export.fold import CONV
from msseg.export.operands import operand
from msseg.models.analysis.graph import Graph, Node

FIRST_CHANNELS = 'FirstChannels'
_BLOCK = 16


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
        if concat.name == graph.output or not all(_is_plain(graph, each) for each in readers):
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
    return (
        node.op == 'Concat' and len(node.shape) == 4 and operand(graph, node, 1, 'axis') in (1, -3)
    )


def _is_plain(graph: Graph, node: Node) -> bool:
    return node.op == CONV and node.attributes.get('group', 1) == 1


def _split(graph: Graph, conv: Node, parts: list[str], channels: list[int]) -> None:
    """Replace a convolution by a sum of convolutions, which keeps its name."""
    _, weight, bias = conv.inputs
    starts = np.cumsum([0, *channels])
    pieces = np.split(graph.values[weight], starts[1:-1], axis=1)
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
        old = graph.values[weight]
        name = f'{conv.name}/weight_and_0'
        graph.values[name] = np.pad(old, [(0, 0), (0, extra), (0, 0), (0, 0)])
        conv.inputs = [source, name, bias]
