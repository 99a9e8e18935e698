"""Operators of transformers and of the layers in the registries, in ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np

from msseg.export.onnx_builder import OnnxBuilder
from msseg.export.onnx_operators import Translation, translates
from msseg.models.analysis.graph import Node


@translates('LayerNorm')
def _layer_norm(builder: OnnxBuilder, node: Node) -> str:
    rank = len(builder.graph.shape_of(node.inputs[0]))
    first = builder.setting(node, 3, 'begin_norm_axis') % rank
    if builder.setting(node, 4, 'begin_params_axis') % rank != first:
        raise ValueError('LayerNorm: begin_params_axis differs from begin_norm_axis')
    x, gamma, beta = (builder.read(each) for each in node.inputs[:3])
    epsilon = builder.setting(node, 5, 'epsilon')
    y = _normalise(builder, x, list(range(first, rank)), epsilon)
    return builder.emit('Add', [builder.emit('Mul', [y, gamma]), beta])


@translates('GroupNorm')
def _group_norm(builder: OnnxBuilder, node: Node) -> str:
    shape = builder.graph.shape_of(node.inputs[0])
    groups, epsilon = builder.setting(node, 1, 'num_groups'), builder.setting(node, 4, 'eps')
    gamma, beta = (builder.graph.values[each].reshape(-1, 1, 1) for each in node.inputs[2:4])
    x = builder.read(node.inputs[0])
    rows = builder.emit('Reshape', [x, builder.constant([0, groups, -1], np.int64)])
    y = _normalise(builder, rows, [2], epsilon)
    whole = builder.emit('Shape', [x]) if builder.dynamic else builder.constant(shape, np.int64)
    y = builder.emit('Mul', [builder.emit('Reshape', [y, whole]), builder.constant(gamma)])
    return builder.emit('Add', [y, builder.constant(beta)])


def _normalise(builder: OnnxBuilder, x: str, axes: list[int], epsilon: float) -> str:
    """Subtract the mean over axes and divide by the deviation."""
    centred = builder.emit('Sub', [x, builder.emit('ReduceMean', [x], axes=axes, keepdims=1)])
    square = builder.emit('Mul', [centred, centred])
    variance = builder.emit('ReduceMean', [square], axes=axes, keepdims=1)
    shifted = builder.emit('Add', [variance, builder.constant(epsilon, np.float32)])
    return builder.emit('Div', [centred, builder.emit('Sqrt', [shifted])])


@translates('Conv2DTranspose')
def _transposed_convolution(builder: OnnxBuilder, node: Node) -> str:
    settings = node.attributes
    old, new = builder.graph.shape_of(node.inputs[0])[2:], node.shape[2:]
    weight = builder.graph.values[node.inputs[1]]
    top, bottom, left, right = settings['pad_list']
    strides, dilations = list(settings['stride'][-2:]), list(settings['dilation'][-2:])
    cut = (top + bottom, left + right)
    least = [
        (old[i] - 1) * strides[i] - cut[i] + dilations[i] * (weight.shape[2 + i] - 1) + 1
        for i in range(2)
    ]
    return builder.emit(
        'ConvTranspose',
        [builder.read(each) for each in node.inputs[:2]],
        kernel_shape=list(weight.shape[2:]),
        strides=strides,
        dilations=dilations,
        pads=[top, left, bottom, right],
        output_padding=[new[i] - least[i] for i in range(2)],
        group=settings.get('group', 1),
    )


@translates('MatMulExt', 'BatchMatMulExt')
def _plain_product(builder: OnnxBuilder, node: Node) -> str:
    return builder.emit('MatMul', [builder.read(each) for each in node.inputs])


@translates('Dense')
def _dense(builder: OnnxBuilder, node: Node) -> str:
    weight = builder.graph.values[node.inputs[1]]
    x = builder.emit('MatMul', [builder.read(node.inputs[0]), builder.constant(weight.T)])
    bias = builder.graph.values.get(node.inputs[2])
    return x if bias is None else builder.emit('Add', [x, builder.constant(bias)])


@translates('Split')
def _split(builder: OnnxBuilder, node: Node) -> str:
    """Take the part that one item of the result is."""
    shape = builder.graph.shape_of(node.inputs[0])
    axis = builder.setting(node, 1, 'axis') % len(shape)
    length = node.shape[axis]
    start = length * node.attributes.get('item', 0)
    return _slice(builder, builder.read(node.inputs[0]), [start], [start + length], [axis], [1])


@translates('StridedSlice')
def _strided_slice(builder: OnnxBuilder, node: Node) -> str:
    shape = builder.graph.shape_of(node.inputs[0])
    begin = list(builder.setting(node, 1, 'begin'))
    end = list(builder.setting(node, 2, 'end'))
    strides = list(builder.setting(node, 3, 'strides'))
    names = ('begin_mask', 'end_mask', 'ellipsis_mask', 'new_axis_mask', 'shrink_axis_mask')
    masks = [_mask(builder, node, 4 + i, name) for i, name in enumerate(names)]
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
            end[axis] = np.iinfo(np.int64).max
    x = _slice(builder, builder.read(node.inputs[0]), begin, end, axes, strides)
    return builder.emit('Squeeze', [x, builder.constant(removed, np.int64)]) if removed else x


def _mask(builder: OnnxBuilder, node: Node, index: int, name: str) -> int:
    if index < len(node.inputs) or name in node.attributes:
        return int(builder.setting(node, index, name))
    return 0


def _slice(builder: OnnxBuilder, x: str, starts: list, ends: list, axes: list, steps: list) -> str:
    limits = [builder.constant(values, np.int64) for values in (starts, ends, axes, steps)]
    return builder.emit('Slice', [x, *limits])


@translates('Gather')
def _gather(builder: OnnxBuilder, node: Node) -> str:
    axis = int(builder.setting(node, 2, 'axis'))
    index = np.asarray(builder.setting(node, 1, 'input_indices'))
    x = builder.read(node.inputs[0])
    return builder.emit('Gather', [x, builder.constant(index, np.int64)], axis=axis)


@translates('ExpandDims')
def _expand(builder: OnnxBuilder, node: Node) -> str:
    axis = builder.constant([builder.setting(node, 1, 'axis')], np.int64)
    return builder.emit('Unsqueeze', [builder.read(node.inputs[0]), axis])


@translates('Squeeze')
def _squeeze(builder: OnnxBuilder, node: Node) -> str:
    axes = builder.setting(node, 1, 'axis')
    axes = [axes] if isinstance(axes, int) else list(axes)
    shape = builder.graph.shape_of(node.inputs[0])
    axes = axes or [i for i, length in enumerate(shape) if length == 1]
    return builder.emit('Squeeze', [builder.read(node.inputs[0]), builder.constant(axes, np.int64)])


@translates('BroadcastTo')
def _broadcast(builder: OnnxBuilder, node: Node) -> str:
    if builder.dynamic:
        raise ValueError('BroadcastTo: export one size, without --dynamic')
    shape = builder.constant(node.shape, np.int64)
    return builder.emit('Expand', [builder.read(node.inputs[0]), shape])


@translates('Rsqrt')
def _rsqrt(builder: OnnxBuilder, node: Node) -> str:
    return builder.emit('Reciprocal', [builder.emit('Sqrt', [builder.read(node.inputs[0])])])


@translates('Square')
def _square(builder: OnnxBuilder, node: Node) -> str:
    x = builder.read(node.inputs[0])
    return builder.emit('Mul', [x, x])


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


def _setting_or(builder: OnnxBuilder, node: Node, index: int, name: str, default: Any) -> Any:
    known = index < len(node.inputs) or name in node.attributes
    return builder.setting(node, index, name) if known else default


def _reduction(op: str) -> Translation:
    """Return the translation of a mean or sum over axes, or over all."""

    def translation(builder: OnnxBuilder, node: Node) -> str:
        axes = builder.setting(node, 1, 'axis')
        rank = len(builder.graph.shape_of(node.inputs[0]))
        axes = [axes] if isinstance(axes, int) else list(axes or range(rank))
        keep = int(bool(builder.setting(node, 2, 'keep_dims')))
        x = builder.read(node.inputs[0])
        if op == 'ReduceSum':
            return builder.emit(op, [x, builder.constant(axes, np.int64)], keepdims=keep)
        return builder.emit(op, [x], axes=axes, keepdims=keep)

    return translation


for _names, _onnx in (
    (('ReduceMax',), 'ReduceMax'),
    (('ReduceMean', 'MeanExt'), 'ReduceMean'),
    (('ReduceSum', 'SumExt'), 'ReduceSum'),
):
    translates(*_names)(_reduction(_onnx))
