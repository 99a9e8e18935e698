"""Collecting an ONNX graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from msseg.export.operands import operand
from msseg.models.analysis.graph import Graph, Node
from msseg.utils.extras import import_extra


class OnnxBuilder:
    """Collects ONNX nodes and constants while a graph is translated.

    Args:
        graph: The network, for whose operands names and shapes are kept.
        dynamic: Whether heights, widths and the number of images may differ from the graph's.
            The graph must then be one of a size such that each height and width in it
            occurs at one resolution only.
    """

    def __init__(self, graph: Graph, dynamic: bool) -> None:
        self.onnx = import_extra('onnx', 'onnx', 'exporting to ONNX')
        self.graph = graph
        self.dynamic = dynamic
        self.nodes: list[Any] = []
        self.initializers: dict[str, np.ndarray] = {}
        self.names = {}
        self._sources: dict[tuple[int, int], str] = {}
        self._sizes: dict[tuple[int, int], str] = {}

    def start(self, name: str) -> None:
        """Say what the network's input is called."""
        self.names[self.graph.input] = name
        self._remember(self.graph.input_shape, name)

    def emit(self, op: str, inputs: list[str], name: str = '', **attributes: Any) -> str:
        """Add a node; return the name of its result."""
        name = name or f'{op}_{len(self.nodes)}'
        self.nodes.append(self.onnx.helper.make_node(op, inputs, [name], name, **attributes))
        return name

    def constant(self, value: Any, dtype: type | None = None) -> str:
        """Return the name of a constant, the same for equal ones."""
        array = np.asarray(value, dtype)
        for name, known in self.initializers.items():
            is_same = known.dtype == array.dtype and known.shape == array.shape
            if is_same and array.size < 16 and np.array_equal(known, array):
                return name
        name = f'constant_{len(self.initializers)}'
        self.initializers[name] = array
        return name

    def read(self, name: str) -> str:
        """Return what an operand of the graph is called here; a value becomes a constant."""
        if name not in self.names:
            value = self.graph.values[name]
            is_plain = not isinstance(value, np.ndarray)
            self.names[name] = self.constant(value, np.float32 if is_plain else None)
        return self.names[name]

    def finish(self, node: Node, name: str) -> None:
        """Say what the result of a graph's node is called here."""
        self.names[node.name] = name
        self._remember(node.shape, name)

    def setting(self, node: Node, index: int, name: str) -> Any:
        """Return a setting of a node; see `operand`."""
        return operand(self.graph, node, index, name)

    def run_time_size(self, size: tuple[int, int]) -> str | None:
        """Return the name of (h, w) as the network has it at run time.

        Args:
            size: As it is in the graph.

        Returns:
            The name; None when nothing computed so far is of this size.
        """
        if size not in self._sources:
            return None
        if size not in self._sizes:
            shape = self.emit('Shape', [self._sources[size]])
            self._sizes[size] = self.emit('Slice', [shape, self.constant([2]), self.constant([4])])
        return self._sizes[size]

    def _remember(self, shape: tuple[int, ...] | None, name: str) -> None:
        if shape is not None and len(shape) == 4:
            self._sources.setdefault(tuple(shape[2:]), name)
