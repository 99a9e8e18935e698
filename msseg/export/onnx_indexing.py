"""ONNX translations of casts, comparisons and of reading and writing by index."""

from __future__ import annotations

import numpy as np

from msseg.export.onnx_graph import OnnxBuilder, Translation, translates
from msseg.models.analysis.graph import Node

# MindSpore's numbers of types
_TYPES = {30: np.bool_, 34: np.int32, 35: np.int64, 43: np.float32}


def _arithmetic(op: str) -> Translation:
    """Return the translation of an operator that computes floats or whole numbers."""

    def translation(builder: OnnxBuilder, node: Node) -> str:
        is_whole = any(builder.names.get(name) in builder.whole for name in node.inputs)
        if not is_whole:
            return builder.emit(op, builder.inputs(node))
        values = builder.graph.values
        operands = [
            builder.constant(values[name], np.int32) if name in values else builder.read(name)
            for name in node.inputs
        ]
        return _whole(builder, builder.emit(op, operands))

    return translation


def _whole(builder: OnnxBuilder, name: str) -> str:
    """Record that a result is int32; return its name."""
    builder.whole.add(name)
    return name


for _op in ('Add', 'Sub', 'Mul'):
    translates(_op, f'{_op}s')(_arithmetic(_op))


@translates('Floor', 'Equal')
def _same_name(builder: OnnxBuilder, node: Node) -> str:
    return builder.emit(node.op, builder.inputs(node))


@translates('Cast')
def _cast(builder: OnnxBuilder, node: Node) -> str:
    number = int(builder.setting(node, 1, 'dst_type'))
    if number not in _TYPES:
        raise ValueError(f'Cast: has the type number {number}, expected one of {list(_TYPES)}')
    dtype = builder.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(_TYPES[number]))
    y = builder.emit('Cast', [builder.read(node.inputs[0])], to=dtype)
    return _whole(builder, y) if _TYPES[number] is np.int32 else y


@translates('FloorDiv')
def _floor_division(builder: OnnxBuilder, node: Node) -> str:
    """Divide whole numbers of at least 0, of which ONNX's division leaves out the remainder."""
    divisor = builder.graph.values.get(node.inputs[1])
    is_whole = builder.read(node.inputs[0]) in builder.whole
    if not is_whole or np.asarray(divisor).dtype.kind != 'i':
        raise ValueError('FloorDiv: only whole numbers can be divided, by a constant')
    operands = [builder.read(node.inputs[0]), builder.constant(divisor, np.int32)]
    return _whole(builder, builder.emit('Div', operands))


@translates('Stack')
def _stack(builder: OnnxBuilder, node: Node) -> str:
    pack = next(each for each in builder.graph.nodes if each.name == node.inputs[0])
    rank = len(node.shape)
    axis = int(builder.setting(node, 1, 'axis')) % rank
    parts = [
        builder.emit('Unsqueeze', [name, builder.integers([axis])]) for name in builder.inputs(pack)
    ]
    return builder.emit('Concat', parts, axis=axis)


@translates('Gather')
def _gather(builder: OnnxBuilder, node: Node) -> str:
    axis = int(builder.setting(node, 2, 'axis'))
    constant = builder.graph.values.get(node.inputs[1])
    computed = constant is None
    index = builder.read(node.inputs[1]) if computed else builder.integers(constant)
    return builder.emit('Gather', [builder.read(node.inputs[0]), index], axis=axis)


@translates('TopK')
def _top_k(builder: OnnxBuilder, node: Node) -> str:
    """Give the indices of the largest along the last axis, which is what networks read of it."""
    if builder.dynamic:
        raise ValueError('TopK: takes a fixed number of pixels; export one size, without --dynamic')
    if node.attributes.get('item', 0) != 1:
        raise ValueError('TopK: only its indices can be exported')
    count = builder.integers([builder.setting(node, 1, 'k')])
    name = f'TopK_{len(builder.nodes)}'
    operands = [builder.read(node.inputs[0]), count]
    builder.nodes.append(
        builder.onnx.helper.make_node('TopK', operands, [f'{name}_values', name], name, axis=-1)
    )
    index = builder.onnx.TensorProto.INT32
    return _whole(builder, builder.emit('Cast', [name], to=index))


@translates('TensorScatterElements')
def _scatter(builder: OnnxBuilder, node: Node) -> str:
    axis = int(builder.setting(node, 3, 'axis'))
    if int(builder.setting(node, 4, 'reduction')) != 0:
        raise ValueError('TensorScatterElements: only replacement can be exported')
    operands = [builder.read(each) for each in node.inputs[:3]]
    return builder.emit('ScatterElements', operands, axis=axis)
