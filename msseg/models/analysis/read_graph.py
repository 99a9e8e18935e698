"""Compile a network with MindSpore, and read the operations of its graph."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn

from msseg.models.analysis.graph import Graph, Node

# mind_ir.proto: TensorProto.DataType
_DTYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32,
           7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64, 17: np.float64}  # fmt: skip
_SEQUENCES = ('TUPLE', 'LIST')
_TRANSPARENT = ('Load', 'Depend')


def read_graph(network: nn.Cell, shape: tuple[int, ...]) -> Graph:
    """Compile a network and return its operations.

    Args:
        network: Takes one float32 tensor and gives one.
        shape: The input's.

    Raises:
        ValueError: It branches by its input, so that it is no list of operations.
    """
    protos = []

    def keep(model: Any) -> None:
        protos.append(type(model)())
        protos[0].CopyFrom(model)
        del model.graph.parameter[:]  # the file with the weights is not needed

    with tempfile.TemporaryDirectory(prefix='msseg-') as folder:
        ms.export(
            network,
            ms.Tensor(np.zeros(shape, np.float32)),
            file_name=str(Path(folder) / 'graph.mindir'),
            file_format='MINDIR',
            custom_func=keep,
        )
    weights = {parameter.name: parameter.asnumpy() for parameter in network.get_parameters()}
    return parse_graph(protos[0], weights)


def parse_graph(model: Any, weights: Mapping[str, np.ndarray]) -> Graph:
    """Return the operations of a ``ModelProto`` of mind_ir.proto; see `read_graph`.

    `weights` are the parameters by their names in the network.
    """
    check_branches(model)
    proto = model.graph
    operators = {each.name: each for each in model.primitives}
    reader = _Reader({parameter.name: weights[parameter.name.partition(':')[2]]
                      for parameter in proto.parameter})  # fmt: skip
    for node in proto.node:
        reader.add(node, operators.get(node.op_type.removeprefix('REF::')))
    return Graph(
        proto.input[0].name,
        tuple(proto.input[0].tensor[0].dims),
        reader.resolve(proto.output[0].name),
        reader.nodes,
        reader.values,
    )


def check_branches(model: Any) -> None:
    """Raise ValueError when a MindIR (a ``ModelProto``) holds more than one list of operations."""
    if model.functions:
        names = [function.name.rpartition('_')[0] for function in model.functions][:4]
        raise ValueError(
            'the network chooses by its input what it computes, and only what always computes the '
            f'same can be exported; MindSpore found branches in {names}: export one size, without '
            '--dynamic'
        )


class _Reader:
    """Collects nodes, without those that only order or wrap others."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values
        self.nodes: list[Node] = []
        self._by_name: dict[str, Node] = {}
        self._same: dict[str, str] = {}

    def resolve(self, name: str) -> str:
        """Return the name that a name is an alias of."""
        return self._same.get(name, name)

    def add(self, node: Any, operator: Any) -> None:
        """Add a node of the MindIR."""
        name = node.output[0]
        if node.op_type == 'Constant':
            self.values[name] = _value(node.attribute[0])
            return
        op = operator.op_type
        inputs = [self.resolve(each) for each in node.input]
        if op in _TRANSPARENT:
            self._same[name] = inputs[0]
        elif op == 'TupleGetItem':
            self._same[name] = self._item(name, inputs, _shape(node))
        else:
            settings = {each.name: _value(each) for each in operator.attribute}
            scope = _scope(node.domain)
            self._by_name[name] = Node(op, name, inputs, settings, _shape(node), scope)
            self.nodes.append(self._by_name[name])

    def _item(self, name: str, inputs: list[str], shape: tuple[int, ...] | None) -> str:
        """Return the name of an element of a tuple; each result of an operator is a node."""
        source, index = self._by_name[inputs[0]], self.values[inputs[1]]
        if source.op == 'MakeTuple':
            return source.inputs[index]
        if index == 0:
            source.shape = shape
            return source.name
        settings = {**source.attributes, 'item': index}
        self.nodes.append(Node(source.op, name, source.inputs, settings, shape, source.scope))
        return name


def _scope(domain: str) -> str:
    """Return ``net.layer`` of ``Default/net-Network/layer-Conv2d/Conv2D-op0``."""
    return '.'.join(part.partition('-')[0] for part in domain.split('/')[1:-1])


def _shape(node: Any) -> tuple[int, ...] | None:
    tensors = [each.tensors for each in node.attribute if each.name == 'shape']
    return tuple(tensors[0][0].dims) if tensors and len(tensors[0]) == 1 else None


def _value(attribute: Any) -> Any:
    """Return the value of an ``AttributeProto``."""
    kind = attribute.AttributeType.Name(attribute.type)
    if kind in _SEQUENCES:
        return tuple(_value(each) for each in attribute.values)
    if kind == 'TENSOR':
        return _array(attribute.t)
    if kind == 'TENSORS':
        arrays = tuple(_array(each) for each in attribute.tensors)
        return arrays[0] if len(arrays) == 1 else arrays
    if kind == 'STRING':
        text = attribute.s or (attribute.strings[0] if attribute.strings else b'')
        return text.decode() if isinstance(text, bytes) else text
    single, several = {'FLOAT': ('f', 'floats'), 'DOUBLE': ('d', 'doubles')}.get(
        kind, ('i', 'ints')
    )
    number = getattr(attribute, single)
    if not attribute.HasField(single) and getattr(attribute, several):
        number = getattr(attribute, several)[0]
    return bool(number) if kind == 'BOOL' else number


def _array(tensor: Any) -> np.ndarray:
    return np.frombuffer(tensor.raw_data, _DTYPES[tensor.data_type]).reshape(tuple(tensor.dims))
