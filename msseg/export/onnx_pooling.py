"""ONNX translations of pooling with padding, which MindSpore computes in three dimensions."""

from __future__ import annotations

from typing import Any

from msseg.export.onnx_graph import OnnxBuilder, translates
from msseg.models.analysis.graph import Node

_DEPTH = 2  # the axis of length 1 that MindSpore adds


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
