"""Settings of an operation, wherever a MindSpore version keeps them."""

from __future__ import annotations

from typing import Any

from msseg.models.analysis.graph import Graph, Node


def operand(graph: Graph, node: Node, index: int, name: str) -> Any:
    """Return a setting: an operand that is known beforehand, or an attribute.

    Args:
        graph: Of the node.
        node: The operation.
        index: Which operand, in versions where it is one.
        name: Of the attribute, in the others.

    Raises:
        ValueError: It is computed by the network.
    """
    if index < len(node.inputs):
        if node.inputs[index] in graph.values:
            return graph.values[node.inputs[index]]
        raise ValueError(f'{node.op}: its {name} is computed by the network, expected a constant')
    if name not in node.attributes:
        raise ValueError(f'{node.op}: says no {name}; it has {sorted(node.attributes)}')
    return node.attributes[name]
