"""ONNX translations of MindSpore's operators, with nodes that OpenCV 4.6 reads where it can."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from msseg.export.onnx_graph import OnnxBuilder, Translation, translates
from msseg.export.passes import FIRST_CHANNELS
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
_END = np.iinfo(np.int64).max


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
    bias = builder.graph.values[node.inputs[1]]
    bias = bias.reshape(-1, *[1] * (len(builder.shape_in(node)) - 2))
    return builder.emit('Add', [builder.read(node.inputs[0]), builder.constant(bias)])


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
    alpha = float(_setting_or(builder, node, 1, 'alpha', 1.0))
    return builder.emit('Elu', [builder.read(node.inputs[0])], alpha=alpha)


@translates('LeakyReLUExt')
def _leaky_relu(builder: OnnxBuilder, node: Node) -> str:
    slope = float(builder.setting(node, 1, 'negative_slope'))
    return builder.emit('LeakyRelu', [builder.read(node.inputs[0])], alpha=slope)


# ------------------------------------------------------------ sizes, shapes and axes


@translates('ResizeBilinearV2', 'ResizeNearestNeighborV2')
def _resize(builder: OnnxBuilder, node: Node) -> str:
    size = tuple(builder.setting(node, 1, 'size'))
    corners = builder.setting(node, 2, 'align_corners')
    centres = builder.setting(node, 3, 'half_pixel_centers')
    is_nearest = node.op == 'ResizeNearestNeighborV2'
    if is_nearest and (corners or centres):
        raise ValueError(f'{node.op}: must have neither align_corners nor half_pixel_centers')
    if not (is_nearest or corners or centres):
        raise ValueError(f'{node.op}: without align_corners it must have half_pixel_centers')
    x = builder.read(node.inputs[0])
    inputs = [x, '', *_new_size(builder, x, builder.shape_in(node), size)]
    if is_nearest:
        settings = {'coordinate_transformation_mode': 'asymmetric', 'nearest_mode': 'floor'}
        return builder.emit('Resize', inputs, mode='nearest', **settings)
    # They differ at a size of 1 only, but OpenCV 4.6 computes 'half_pixel' wrongly.
    mode = 'align_corners' if corners else 'pytorch_half_pixel'
    return builder.emit('Resize', inputs, mode='linear', coordinate_transformation_mode=mode)


def _new_size(
    builder: OnnxBuilder, x: str, old: tuple[int, ...], size: tuple[int, int]
) -> list[str]:
    """Return Resize's operands ``scales`` and ``sizes``, without the latter for scales."""
    if not builder.dynamic:
        return ['', builder.integers([*old[:2], *size])]
    wanted = builder.run_time_size(size)
    if wanted is not None:
        ends = [builder.constant([0]), builder.constant([2])]
        rest = builder.emit('Slice', [builder.emit('Shape', [x]), *ends])
        return ['', builder.emit('Concat', [rest, wanted], axis=0)]
    factors = [new // before for new, before in zip(size, old[2:], strict=True)]
    if [f * before for f, before in zip(factors, old[2:], strict=True)] != list(size):
        raise ValueError(
            f'ResizeBilinearV2: resizes {old[2:]} to {size}, which is neither the size of anything '
            'before it nor a multiple: export one size, without --dynamic'
        )
    return [builder.floats([1, 1, *factors])]


@translates('Reshape')
def _reshape(builder: OnnxBuilder, node: Node) -> str:
    shape = list(builder.setting(node, 1, 'shape'))
    x = builder.read(node.inputs[0])
    old = builder.shape_in(node)
    if not builder.dynamic:
        return builder.emit('Reshape', [x, builder.integers(shape)])
    head = [0] if shape[0] == old[0] == 1 else shape[:1]  # 0: as many images as there are
    if len(shape) == 4:
        size = builder.run_time_size(tuple(shape[2:]))
        if size is not None:
            head = builder.integers([*head, shape[1]])
            return builder.emit('Reshape', [x, builder.emit('Concat', [head, size], axis=0)])
    if len(old) == 4 and len(shape) == 3 and shape[2] == old[2] * old[3]:
        shape[2] = -1
    return builder.emit('Reshape', [x, builder.integers([*head, *shape[1:]])])


@translates('Concat')
def _concat(builder: OnnxBuilder, node: Node) -> str:
    pack = next(each for each in builder.graph.nodes if each.name == node.inputs[0])
    axis = builder.setting(node, 1, 'axis')
    return builder.emit('Concat', builder.inputs(pack), axis=axis)


@translates('Transpose')
def _transpose(builder: OnnxBuilder, node: Node) -> str:
    order = list(builder.setting(node, 1, 'perm'))
    return builder.emit('Transpose', [builder.read(node.inputs[0])], perm=order)


@translates(FIRST_CHANNELS)
def _first_channels(builder: OnnxBuilder, node: Node) -> str:
    limits = [builder.integers([number]) for number in (0, node.shape[1], 1)]
    return builder.emit('Slice', [*builder.inputs(node), *limits])


@translates('Split')
def _split(builder: OnnxBuilder, node: Node) -> str:
    """Take the part that one item of the result is."""
    axis = builder.setting(node, 1, 'axis') % len(builder.shape_in(node))
    length = node.shape[axis]
    start = length * node.attributes.get('item', 0)
    return _slice(builder, node, [start], [start + length], [axis], [1])


@translates('StridedSlice')
def _strided_slice(builder: OnnxBuilder, node: Node) -> str:
    shape = builder.shape_in(node)
    limits = (builder.setting(node, 1 + i, name) for i, name in enumerate(('begin', 'end')))
    begin, end = map(list, limits)
    strides = list(builder.setting(node, 3, 'strides'))
    names = ('begin_mask', 'end_mask', 'ellipsis_mask', 'new_axis_mask', 'shrink_axis_mask')
    masks = [int(_setting_or(builder, node, 4 + i, name, 0)) for i, name in enumerate(names)]
    if masks[2] or masks[3] or min(strides) < 0:
        raise ValueError('StridedSlice: an ellipsis, new axes and steps back cannot be exported')
    axes = list(range(len(begin)))
    removed = [axis for axis in axes if masks[4] >> axis & 1]
    for axis in axes:
        if axis in removed:
            begin[axis] %= shape[axis]
            end[axis], strides[axis] = begin[axis] + 1, 1
            continue
        if masks[0] >> axis & 1:
            begin[axis] = 0
        if masks[1] >> axis & 1 or end[axis] >= shape[axis]:
            end[axis] = _END
    x = _slice(builder, node, begin, end, axes, strides)
    return builder.emit('Squeeze', [x, builder.integers(removed)]) if removed else x


def _slice(builder: OnnxBuilder, node: Node, *limits: list[int]) -> str:
    """Add a Slice by starts, ends, axes and steps."""
    x = builder.read(node.inputs[0])
    return builder.emit('Slice', [x, *(builder.integers(each) for each in limits)])


@translates('ExpandDims')
def _expand(builder: OnnxBuilder, node: Node) -> str:
    axis = builder.integers([builder.setting(node, 1, 'axis')])
    return builder.emit('Unsqueeze', [builder.read(node.inputs[0]), axis])


@translates('Squeeze')
def _squeeze(builder: OnnxBuilder, node: Node) -> str:
    axes = builder.setting(node, 1, 'axis')
    axes = [axes] if isinstance(axes, int) else list(axes)
    axes = axes or [i for i, length in enumerate(builder.shape_in(node)) if length == 1]
    return builder.emit('Squeeze', [builder.read(node.inputs[0]), builder.integers(axes)])


@translates('BroadcastTo')
def _broadcast(builder: OnnxBuilder, node: Node) -> str:
    if builder.dynamic:
        raise ValueError('BroadcastTo: export one size, without --dynamic')
    return builder.emit('Expand', [builder.read(node.inputs[0]), builder.integers(node.shape)])


def _setting_or(builder: OnnxBuilder, node: Node, index: int, name: str, default: Any) -> Any:
    known = index < len(node.inputs) or name in node.attributes
    return builder.setting(node, index, name) if known else default
