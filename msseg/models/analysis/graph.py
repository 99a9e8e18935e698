"""A network as a list of operations, as MindSpore compiled it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Node:
    """One operation.

    Attributes:
        op: MindSpore's name of the operation.
        name: Name of the result.
        inputs: Names of the operands.
        attributes: Settings; newer MindSpore versions give most of them as operands.
        shape: Shape of the result; None if it is not one tensor.
        scope: The cell around it, as its parameters' names begin; '' if unknown.
    """

    op: str
    name: str
    inputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] | None = None
    scope: str = ''


@dataclass
class Graph:
    """A network of one input and one output.

    Attributes:
        input: Name of the input.
        input_shape: Its shape.
        output: Name of the output.
        nodes: The operations, each after its operands.
        values: Parameters and other arrays, numbers and tuples by name.
    """

    input: str
    input_shape: tuple[int, ...]
    output: str
    nodes: list[Node]
    values: dict[str, Any]

    def __post_init__(self) -> None:
        self.drop_unused()

    def users(self) -> dict[str, list[Node]]:
        """Return the nodes that read each result or value."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.inputs:
                found.setdefault(name, []).append(node)
        return found

    def shape_of(self, name: str) -> tuple[int, ...] | None:
        """Return the shape of the input, a result or a value."""
        if name == self.input:
            return self.input_shape
        if name in self.values:
            return np.shape(self.values[name])
        return next(node.shape for node in self.nodes if node.name == name)

    def counts(self) -> Counter:
        """Return how often each operation occurs."""
        return Counter(node.op for node in self.nodes)

    def drop_unused(self) -> None:
        """Drop the nodes and values that no node reads."""
        needed, kept = {self.output}, []
        for node in reversed(self.nodes):
            if node.name in needed:
                needed.update(node.inputs)
                kept.append(node)
        self.nodes = kept[::-1]
        self.values = {name: value for name, value in self.values.items() if name in needed}
