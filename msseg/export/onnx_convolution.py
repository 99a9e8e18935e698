"""ONNX translations of convolutions."""

from __future__ import annotations

from typing import Any

from msseg.export.onnx_graph import OnnxBuilder, translates
from msseg.export.passes import CONV
from msseg.models.analysis.graph import Node


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
    top, left, bottom, right = settings['pads']
    cut = (top + bottom, left + right)
    least = [
        (old[i] - 1) * strides[i] - cut[i] + settings['dilations'][i] * (kernel[i] - 1) + 1
        for i in range(2)
    ]
    settings['output_padding'] = [new[i] - least[i] for i in range(2)]
    operands = [builder.read(each) for each in node.inputs[:2]]
    return builder.emit('ConvTranspose', operands, **settings)


def _convolution_settings(builder: OnnxBuilder, node: Node) -> dict[str, Any]:
    settings = node.attributes
    top, bottom, left, right = settings['pad_list']
    return dict(
        kernel_shape=list(builder.graph.shape_of(node.inputs[1])[2:]),
        strides=list(settings['stride'][-2:]),
        dilations=list(settings['dilation'][-2:]),
        pads=[top, left, bottom, right],
        group=settings.get('group', 1),
    )
