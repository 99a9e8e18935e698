"""ONNX translations of convolutions, and of pooling with padding."""

from __future__ import annotations

from typing import Any

from msseg.export.onnx_graph import OnnxBuilder, translates
from msseg.export.passes import CONV
from msseg.models.analysis.graph import Node

# MindSpore's names of TensorFlow's "same": ceil(size / stride) pixels
_SAME = ('SAME', 'same', 1)
_DEPTH = 2  # the axis of length 1 that MindSpore adds to pool in three dimensions


@translates(CONV, 'Conv2D')
def _convolution(builder: OnnxBuilder, node: Node) -> str:
    layout = node.attributes.get('format', 'NCHW')
    if layout != 'NCHW':
        raise ValueError(f'Conv2D: format is {layout!r}, expected NCHW')
    if builder.dynamic and node.inputs[1] not in builder.graph.values:
        raise ValueError(
            'Conv2D: its kernels are computed by the network, for each image others: export one '
            'size, without --dynamic'
        )
    return builder.emit('Conv', builder.inputs(node), **_convolution_settings(builder, node))


@translates('Conv2DTranspose')
def _transposed_convolution(builder: OnnxBuilder, node: Node) -> str:
    settings = _convolution_settings(builder, node)
    kernel, strides = settings['kernel_shape'], settings['strides']
    old, new = builder.shape_in(node)[2:], node.shape[2:]
    # MindSpore cuts off less at the end, which OpenCV's dnn knows as output_padding only
    cut = settings['pads'][:2]
    settings['pads'] = [*cut, *cut]
    least = [
        (old[i] - 1) * strides[i] - 2 * cut[i] + settings['dilations'][i] * (kernel[i] - 1) + 1
        for i in range(2)
    ]
    settings['output_padding'] = [new[i] - least[i] for i in range(2)]
    operands = [builder.read(each) for each in node.inputs[:2]]
    return builder.emit('ConvTranspose', operands, **settings)


def _convolution_settings(builder: OnnxBuilder, node: Node) -> dict[str, Any]:
    settings = node.attributes
    return dict(
        kernel_shape=list(builder.graph.shape_of(node.inputs[1])[2:]),
        strides=list(settings['stride'][-2:]),
        dilations=list(settings['dilation'][-2:]),
        group=settings.get('group', 1),
        **_padding(builder, node),
    )


def _padding(builder: OnnxBuilder, node: Node) -> dict[str, Any]:
    """Return the zeros around the input, of which "same" takes as many as the size needs."""
    settings = node.attributes
    if builder.dynamic and settings.get('pad_mode') in _SAME and set(settings['stride']) != {1}:
        if set(settings['dilation']) != {1}:
            raise ValueError(
                f"{node.op}: pads by the image's size, with stride {settings['stride'][-2:]} and "
                f'dilation {settings["dilation"][-2:]}: export one size, without --dynamic'
            )
        return {'auto_pad': 'SAME_UPPER'}
    top, bottom, left, right = settings['pad_list']
    return {'pads': [top, left, bottom, right]}


@translates('MaxPool3DWithArgmax')
def _padded_max_pool(builder: OnnxBuilder, node: Node) -> str:
    settings = node.attributes
    if set(settings.get('dilation', (1,))) != {1}:
        raise ValueError(f'MaxPool3DWithArgmax: dilation is {settings["dilation"]!r}, expected 1')
    top, left = settings['pads'][-2:]
    return _pool(
        builder,
        node,
        'MaxPool',
        kernel_shape=list(settings['ksize'][-2:]),
        pads=[top, left, top, left],
        ceil_mode=int(settings['ceil_mode']),
    )


@translates('AvgPool3D')
def _padded_average_pool(builder: OnnxBuilder, node: Node) -> str:
    settings = node.attributes
    if settings['divisor_override']:
        raise ValueError('AvgPool3D: divisor_override has no counterpart in ONNX')
    top, bottom, left, right = settings['pad_list'][-4:]
    return _pool(
        builder,
        node,
        'AveragePool',
        kernel_shape=list(settings['kernel_size'][-2:]),
        pads=[top, left, bottom, right],
        ceil_mode=int(settings['ceil_mode']),
        count_include_pad=int(settings['count_include_pad']),
    )


@translates('AvgPool')
def _average_pool(builder: OnnxBuilder, node: Node) -> str:
    kernel, strides, pad_mode = (
        builder.setting(node, 1 + i, name)
        for i, name in enumerate(('kernel_size', 'strides', 'pad_mode'))
    )
    kernel, strides = list(kernel[-2:]), list(strides[-2:])
    settings = {'kernel_shape': kernel, 'strides': strides}
    if pad_mode in ('SAME', 1) and strides == [1, 1] and all(size % 2 for size in kernel):
        settings |= {'pads': [size // 2 for size in kernel] * 2, 'count_include_pad': 0}
    elif pad_mode not in ('VALID', 2):
        raise ValueError(f'AvgPool: pad_mode is {pad_mode!r}, expected VALID')
    return builder.emit('AveragePool', [builder.read(node.inputs[0])], **settings)


def _pool(builder: OnnxBuilder, node: Node, op: str, **settings: Any) -> str:
    """Pool in two dimensions: other tools do that faster, and some know no other pooling."""
    if builder.shape_in(node)[_DEPTH] != 1:
        raise ValueError(f'{node.op}: pools in three dimensions')
    depth = builder.integers([_DEPTH])
    x = builder.emit('Squeeze', [builder.read(node.inputs[0]), depth])
    y = builder.emit(op, [x], strides=list(node.attributes['strides'][-2:]), **settings)
    return builder.emit('Unsqueeze', [y, depth])
