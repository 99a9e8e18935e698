"""A network as an ONNX model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from msseg.deploy.metadata import Metadata, Port
from msseg.export import onnx_layers  # noqa: F401, registers translations
from msseg.export.onnx_builder import OnnxBuilder
from msseg.export.onnx_operators import translate
from msseg.models.analysis.graph import Graph

# ONNX Runtime from 1.4, OpenCV from 4.6 and MindSpore Lite's converter read these.
OPSET, IR_VERSION = 13, 7


def make_onnx(graph: Graph, metadata: Metadata) -> Any:
    """Translate a network into an ONNX model, and have onnx check it.

    Args:
        graph: From the normalised image to the logits at its size, batch norms folded. Where the
            metadata leave the size open, it must be of a size as `OnnxBuilder` needs it.
        metadata: What the model is to say of itself, its sizes among it.

    Returns:
        The ``onnx.ModelProto``.

    Raises:
        ImportError: The package onnx is not installed.
        ValueError: The network cannot be expressed.
    """
    builder = OnnxBuilder(graph, dynamic=None in metadata.input.shape)
    onnx = builder.onnx
    builder.start(_normalise(builder, metadata) if metadata.preprocessing.included else
                  metadata.input.name)  # fmt: skip
    for node in graph.nodes:
        translate(builder, node)
    _name_output(builder, metadata)
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            builder.nodes,
            'msseg',
            [_value_info(onnx, metadata.input)],
            [_value_info(onnx, metadata.output)],
            [onnx.numpy_helper.from_array(np.ascontiguousarray(array), name)
             for name, array in builder.initializers.items()],
        ),
        opset_imports=[onnx.helper.make_opsetid('', OPSET)],
        ir_version=IR_VERSION,
        producer_name='msseg',
        producer_version=metadata.toolbox_version,
    )  # fmt: skip
    onnx.helper.set_model_props(model, metadata.to_properties())
    onnx.checker.check_model(model, full_check=True)
    return model


def _normalise(builder: OnnxBuilder, metadata: Metadata) -> str:
    """Add what turns bytes (n, h, w, c) in BGR order into the network's input."""
    steps = metadata.preprocessing
    x = builder.emit('Cast', [metadata.input.name], to=builder.onnx.TensorProto.FLOAT)
    x = builder.emit('Transpose', [x], perm=[0, 3, 1, 2])
    if steps.to_rgb:
        x = builder.emit('Gather', [x, builder.constant([2, 1, 0], np.int64)], axis=1)
    mean, factor = (
        np.asarray(values, np.float32).reshape(-1, 1, 1)
        for values in (steps.mean, [1 / value for value in steps.std])
    )
    x = builder.emit('Sub', [x, builder.constant(mean)])
    return builder.emit('Mul', [x, builder.constant(factor)])


def _name_output(builder: OnnxBuilder, metadata: Metadata) -> None:
    """Give the last result the output's name, after turning logits into labels if asked."""
    port, last = metadata.output, builder.names[builder.graph.output]
    if port.meaning == 'logits':
        for node in builder.nodes:
            node.output[:] = [port.name if name == last else name for name in node.output]
            node.input[:] = [port.name if name == last else name for name in node.input]
        return
    if builder.graph.shape_of(builder.graph.output)[1] > 1:
        labels = builder.emit('ArgMax', [last], axis=1, keepdims=0)
    else:
        limit = math.log(metadata.threshold / (1 - metadata.threshold))
        is_more = builder.emit('Greater', [last, builder.constant(limit, np.float32)])
        labels = builder.emit('Squeeze', [is_more, builder.constant([1], np.int64)])
    dtype = builder.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(port.dtype))
    builder.emit('Cast', [labels], port.name, to=dtype)


def _value_info(onnx: Any, port: Port) -> Any:
    names = {'N': 'batch', 'H': 'height', 'W': 'width'}
    shape = [
        names[axis] if length is None else length
        for axis, length in zip(port.layout, port.shape, strict=True)
    ]
    dtype = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(port.dtype))
    return onnx.helper.make_tensor_value_info(port.name, dtype, shape)
