"""ONNX translations of convolutions."""

from __future__ import annotations

from typing import Any

from msseg.export.onnx_graph import OnnxBuilder, translates
from msseg.export.passes import CONV
from msseg.models.analysis.graph import Node

# MindSpore's names of TensorFlow's "same": ceil(size / stride) pixels
_SAME = ('SAME', 'same', 1)


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
