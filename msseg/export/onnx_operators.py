"""ONNX translations of MindSpore's operators, with nodes that OpenCV 4.6 reads where it can."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from msseg.export.onnx_graph import OnnxBuilder, Translation, translates
from msseg.models.analysis.graph import Node

# MindSpore's to ONNX's name: the same operands, no settings
_SAME = {
    'ReLU': 'Relu', 'Sigmoid': 'Sigmoid', 'Tanh': 'Tanh', 'Exp': 'Exp', 'Sqrt': 'Sqrt',
    'Neg': 'Neg', 'Reciprocal': 'Reciprocal', 'Div': 'Div', 'Divs': 'Div', 'RealDiv': 'Div',
    'Maximum': 'Max', 'Minimum': 'Min', 'Erf': 'Erf', 'Abs': 'Abs', 'MatMulExt': 'MatMul',
    'BatchMatMulExt': 'MatMul',
}  # fmt: skip
_REDUCTIONS = {
    'ReduceMax': 'ReduceMax', 'ReduceMean': 'ReduceMean', 'MeanExt': 'ReduceMean',
    'ReduceSum': 'ReduceSum', 'SumExt': 'ReduceSum',
}  # fmt: skip
# The operators of several nodes, given the builder and the name of the operand.
_COMPOSED: dict[str, Callable[[OnnxBuilder, str], str]] = {
    'ReLU6': lambda b, x: b.emit('Clip', [x, b.floats(0), b.floats(6)]),
    'Rsqrt': lambda b, x: b.emit('Reciprocal', [b.emit('Sqrt', [x])]),
    'SiLU': lambda b, x: b.emit('Mul', [x, b.emit('Sigmoid', [x])]),
    'Square': lambda b, x: b.emit('Mul', [x, x]),
}


def _same(op: str) -> Translation:
    return lambda builder, node: builder.emit(op, builder.inputs(node))


def _composed(emit: Callable[[OnnxBuilder, str], str]) -> Translation:
    return lambda builder, node: emit(builder, builder.read(node.inputs[0]))


def _reduction(op: str) -> Translation:
    """Return the translation of a reduction over some axes, or over all."""

    def translation(builder: OnnxBuilder, node: Node) -> str:
        axes = builder.setting(node, 1, 'axis')
        axes = [axes] if isinstance(axes, int) else list(axes or range(len(builder.shape_in(node))))
        keep = int(bool(builder.setting(node, 2, 'keep_dims')))
        x = builder.read(node.inputs[0])
        if op == 'ReduceSum':
            return builder.emit(op, [x, builder.integers(axes)], keepdims=keep)
        return builder.emit(op, [x], axes=axes, keepdims=keep)

    return translation


for _make, _table in ((_same, _SAME), (_composed, _COMPOSED), (_reduction, _REDUCTIONS)):
    for _name, _entry in _table.items():
        translates(_name)(_make(_entry))


# ------------------------------------------------------------ pooling


@translates('MaxPool')
def _max_pool(builder: OnnxBuilder, node: Node) -> str:
    settings = node.attributes
    if settings.get('pad_mode') not in ('VALID', 2):
        raise ValueError(f'MaxPool: pad_mode is {settings.get("pad_mode")!r}, expected VALID')
    kernel, strides = (list(settings[key][-2:]) for key in ('kernel_size', 'strides'))
    return builder.emit('MaxPool', builder.inputs(node), kernel_shape=kernel, strides=strides)


@translates('AdaptiveAvgPool2D')
def _adaptive_average(builder: OnnxBuilder, node: Node) -> str:
    """Average by two products with matrices that depend on the size; see `pool_matrix`."""
    x, bins = builder.read(node.inputs[0]), node.attributes['output_size']
    if set(bins) == {1}:
        return builder.emit('ReduceMean', [x], axes=[2, 3], keepdims=1)
    shape = builder.emit('Shape', [x])
    rows, columns = (_pool_weights(builder, shape, 2 + i, bins[i]) for i in (0, 1))
    columns = builder.emit('Transpose', [columns], perm=[1, 0])
    return builder.emit('MatMul', [builder.emit('MatMul', [rows, x]), columns])


def _pool_weights(builder: OnnxBuilder, shape: str, axis: int, bins: int) -> str:
    length = builder.emit('Gather', [shape, builder.integers(axis)])
    count, part = builder.integers(bins), np.arange(bins).reshape(-1, 1)
    begin, end = (builder.emit('Mul', [builder.integers(part + i), length]) for i in (0, 1))
    limit = builder.emit('Mul', [length, count])
    place = builder.emit('Range', [builder.integers(0), limit, count])
    is_after = builder.emit('Less', [begin, builder.emit('Add', [place, count])])
    inside = builder.emit('And', [is_after, builder.emit('Less', [place, end])])
    inside = builder.emit('Cast', [inside], to=builder.onnx.TensorProto.FLOAT)
    total = builder.emit('ReduceSum', [inside, builder.integers([1])], keepdims=1)
    return builder.emit('Div', [inside, total])


# ------------------------------------------------------------ products, biases and norms


@translates('BatchMatMul', 'MatMul')
def _product(builder: OnnxBuilder, node: Node) -> str:
    names = []
    for index, setting in enumerate(('transpose_a', 'transpose_b')):
        rank = len(builder.graph.shape_of(node.inputs[index]))
        order = [*range(rank - 2), rank - 1, rank - 2]
        # OpenCV's dnn (4.11) does not take one constant in two products
        value = builder.graph.values.get(node.inputs[index])
        known = value is not None
        x = builder.constant(value, None, False) if known else builder.read(node.inputs[index])
        is_turned = builder.setting(node, 2 + index, setting)
        names.append(builder.emit('Transpose', [x], perm=order) if is_turned else x)
    return builder.emit('MatMul', names)


@translates('Dense')
def _dense(builder: OnnxBuilder, node: Node) -> str:
    weight = builder.graph.values[node.inputs[1]]
    x = builder.emit('MatMul', [builder.read(node.inputs[0]), builder.constant(weight.T)])
    bias = builder.graph.values.get(node.inputs[2])
    return x if bias is None else builder.emit('Add', [x, builder.constant(bias)])


@translates('BiasAdd')
def _bias(builder: OnnxBuilder, node: Node) -> str:
    x, value = builder.read(node.inputs[0]), builder.graph.values.get(node.inputs[1])
    shape = [-1, *[1] * (len(builder.shape_in(node)) - 2)]
    if value is not None:
        bias = builder.constant(value.reshape(shape))
    else:
        bias = builder.emit('Reshape', [builder.read(node.inputs[1]), builder.integers(shape)])
    return builder.emit('Add', [x, bias])


@translates('BatchNorm')
def _batch_norm(builder: OnnxBuilder, node: Node) -> str:
    if builder.setting(node, 5, 'is_training'):
        raise ValueError('BatchNorm: normalises by the batch, not by its running statistics')
    operands = [builder.read(each) for each in node.inputs[:5]]
    epsilon = builder.setting(node, 6, 'epsilon')
    return builder.emit('BatchNormalization', operands, epsilon=epsilon)


@translates('LayerNorm')
def _layer_norm(builder: OnnxBuilder, node: Node) -> str:
    rank = len(builder.shape_in(node))
    first = builder.setting(node, 3, 'begin_norm_axis') % rank
    if builder.setting(node, 4, 'begin_params_axis') % rank != first:
        raise ValueError('LayerNorm: begin_params_axis differs from begin_norm_axis')
    x, gamma, beta = (builder.read(each) for each in node.inputs[:3])
    y = _normalise(builder, x, list(range(first, rank)), builder.setting(node, 5, 'epsilon'))
    return builder.emit('Add', [builder.emit('Mul', [y, gamma]), beta])


@translates('GroupNorm')
def _group_norm(builder: OnnxBuilder, node: Node) -> str:
    groups, epsilon = builder.setting(node, 1, 'num_groups'), builder.setting(node, 4, 'eps')
    gamma, beta = (builder.graph.values[each].reshape(-1, 1, 1) for each in node.inputs[2:4])
    x = builder.read(node.inputs[0])
    rows = builder.emit('Reshape', [x, builder.integers([0, groups, -1])])
    y = _normalise(builder, rows, [2], epsilon)
    shape = builder.shape_in(node)
    whole = builder.emit('Shape', [x]) if builder.dynamic else builder.integers(shape)
    y = builder.emit('Mul', [builder.emit('Reshape', [y, whole]), builder.constant(gamma)])
    return builder.emit('Add', [y, builder.constant(beta)])


def _normalise(builder: OnnxBuilder, x: str, axes: list[int], epsilon: float) -> str:
    """Subtract the mean over axes and divide by the deviation."""
    centred = builder.emit('Sub', [x, builder.emit('ReduceMean', [x], axes=axes, keepdims=1)])
    square = builder.emit('Mul', [centred, centred])
    variance = builder.emit('ReduceMean', [square], axes=axes, keepdims=1)
    shifted = builder.emit('Add', [variance, builder.floats(epsilon)])
    return builder.emit('Div', [centred, builder.emit('Sqrt', [shifted])])


# ------------------------------------------------------------ activations


@translates('Softmax')
def _softmax(builder: OnnxBuilder, node: Node) -> str:
    axis = builder.setting(node, 1, 'axis')
    axis = axis[0] if isinstance(axis, tuple) else axis
    return builder.emit('Softmax', [builder.read(node.inputs[0])], axis=axis)


@translates('GeLU')
def _gelu(builder: OnnxBuilder, node: Node) -> str:
    """MindSpore's GeLU is the one by tanh: x / 2 * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))."""
    x = builder.read(node.inputs[0])
    cubic, slope, one, half = map(builder.floats, (0.044715, math.sqrt(2 / math.pi), 1.0, 0.5))
    cube = builder.emit('Mul', [builder.emit('Mul', [x, x]), x])
    inside = builder.emit('Add', [x, builder.emit('Mul', [cube, cubic])])
    bent = builder.emit('Tanh', [builder.emit('Mul', [inside, slope])])
    return builder.emit('Mul', [builder.emit('Mul', [x, half]), builder.emit('Add', [bent, one])])


@translates('PReLU')
def _prelu(builder: OnnxBuilder, node: Node) -> str:
    slopes = builder.graph.values[node.inputs[1]].reshape(-1, 1, 1)
    return builder.emit('PRelu', [builder.read(node.inputs[0]), builder.constant(slopes)])


@translates('Elu', 'EluExt')
def _elu(builder: OnnxBuilder, node: Node) -> str:
    alpha = float(builder.setting_or(node, 1, 'alpha', 1.0))
    return builder.emit('Elu', [builder.read(node.inputs[0])], alpha=alpha)


@translates('LeakyReLUExt')
def _leaky_relu(builder: OnnxBuilder, node: Node) -> str:
    slope = float(builder.setting(node, 1, 'negative_slope'))
    return builder.emit('LeakyRelu', [builder.read(node.inputs[0])], alpha=slope)
