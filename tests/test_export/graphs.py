"""Graphs written by hand as MindSpore 2.8 compiles them, and what ONNX Runtime makes of them."""

import onnxruntime

from msseg.deploy.metadata import Metadata, Port, Preprocessing
from msseg.export.onnx_graph import make_onnx
from msseg.models.analysis.graph import Graph, Node


def graph_of(shape, *nodes, values=None):
    """A graph whose input is ``x`` and whose last node is the output."""
    return Graph('x', shape, nodes[-1].name, list(nodes), values or {})


def node(op, inputs, shape, name='y', **attributes):
    return Node(op, name, inputs.split(), attributes, shape)


def metadata_of(graph, dynamic=False, meaning='logits', threshold=None):
    """What a file with this graph would say; free sizes are None."""
    rank = len(graph.input_shape)
    shape_in, shape_out = graph.input_shape, graph.shape_of(graph.output)
    if meaning == 'labels':
        shape_out = (shape_out[0], *shape_out[2:])
    if dynamic:
        shape_in, shape_out = (None, shape_in[1], None, None), (None, shape_out[1], None, None)
    layouts = {2: 'NC', 3: 'NCH' if meaning == 'logits' else 'NHW', 4: 'NCHW'}
    dtype = 'int32' if meaning == 'labels' else 'float32'
    return Metadata(
        Port('image', 'float32', layouts[rank], shape_in, ''),
        Port(meaning, dtype, layouts[len(shape_out)], shape_out, meaning),
        Preprocessing(False, True, (0.0,) * 3, (1.0,) * 3),
        ('a', 'b'),
        ((0, 0, 0), (255, 0, 0)),
        False,
        threshold,
        '0',
    )


def run(graph, x, **options):
    """Translate to ONNX and run."""
    model = make_onnx(graph, metadata_of(graph, **options))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {'image': x})[0]
