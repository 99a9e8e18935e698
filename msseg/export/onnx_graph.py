"""Translation of a network's graph into an ONNX model (opset 13)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from msseg.deploy.metadata import Metadata, Port
from msseg.export.passes import operand
from msseg.models.analysis.graph import Graph, Node
from msseg.utils.extras import import_extra

# ONNX Runtime from 1.4, OpenCV from 4.6 and MindSpore Lite's converter read these.
OPSET, IR_VERSION = 13, 7

_FIRST_RESULT_ONLY = ('BatchNorm', 'LayerNorm', 'GroupNorm', 'MaxPool', 'MaxPool3DWithArgmax')
_SMALL = 16  # constants with fewer numbers are shared


class OnnxBuilder:
    """Collects ONNX nodes and constants while a graph is translated.

    Args:
        graph: The network; the names and shapes of its operands are kept.
        dynamic: Whether heights, widths and the number of images may differ from the graph's.
            Every size in the graph must then occur at one resolution only.
    """

    def __init__(self, graph: Graph, dynamic: bool) -> None:
        self.onnx = import_extra('onnx', 'onnx', 'exporting to ONNX')
        self.graph = graph
        self.dynamic = dynamic
        self.nodes: list[Any] = []
        self.initializers: dict[str, np.ndarray] = {}
        self.names: dict[str, str] = {}
        self.whole: set[str] = set()  # the ONNX names of int32 results
        self.tokens: dict[int, str] = {}  # (images, tokens) at run time, by their number here
        self._sources: dict[tuple[int, int], str] = {}
        self._sizes: dict[tuple[int, int], str] = {}

    def emit(self, op: str, inputs: list[str], name: str = '', **attributes: Any) -> str:
        """Add a node; return the name of its result."""
        name = name or f'{op}_{len(self.nodes)}'
        self.nodes.append(self.onnx.helper.make_node(op, inputs, [name], name, **attributes))
        return name

    def constant(self, value: Any, dtype: type | None = None, is_shared: bool = True) -> str:
        """Return the name of a constant; small equal constants have the same name if shared."""
        array = np.asarray(value, dtype)
        for name, known in self.initializers.items() if is_shared else ():
            is_same = known.dtype == array.dtype and known.shape == array.shape
            if is_same and array.size < _SMALL and np.array_equal(known, array):
                return name
        name = f'constant_{len(self.initializers)}'
        self.initializers[name] = array
        return name

    def integers(self, values: Any) -> str:
        """Return the name of an int64 constant."""
        return self.constant(values, np.int64)

    def floats(self, values: Any) -> str:
        """Return the name of a float32 constant."""
        return self.constant(values, np.float32)

    def read(self, name: str) -> str:
        """Return the ONNX name of an operand of the graph; a value becomes a constant."""
        if name not in self.names:
            value = self.graph.values[name]
            known = isinstance(value, np.ndarray)
            self.names[name] = self.constant(value) if known else self.floats(value)
        return self.names[name]

    def inputs(self, node: Node) -> list[str]:
        """Return the ONNX names of all operands of a node."""
        return [self.read(each) for each in node.inputs]

    def shape_in(self, node: Node) -> tuple[int, ...]:
        """Return the shape of a node's first operand."""
        return self.graph.shape_of(node.inputs[0])

    def setting(self, node: Node, index: int, name: str) -> Any:
        """Return a setting of a node; see `operand`."""
        return operand(self.graph, node, index, name)

    def setting_or(self, node: Node, index: int, name: str, default: Any) -> Any:
        """Return a setting of a node, or the default of one that it does not have."""
        known = index < len(node.inputs) or name in node.attributes
        return self.setting(node, index, name) if known else default

    def finish(self, name: str, shape: tuple[int, ...] | None, onnx_name: str) -> None:
        """Record the ONNX name of the graph's input or of a node's result.

        The size of a map is taken from `shape`, for `run_time_size`; None: from other results.
        """
        self.names[name] = onnx_name
        if shape is not None and len(shape) == 4:
            self._sources.setdefault(tuple(shape[2:]), onnx_name)

    def run_time_size(self, size: tuple[int, int]) -> str | None:
        """Return the name of (h, w) at run time.

        Args:
            size: The size in the graph.

        Returns:
            The name; None when no result before has this size.
        """
        if size not in self._sources:
            return None
        if size not in self._sizes:
            shape = self.emit('Shape', [self._sources[size]])
            self._sizes[size] = self.emit('Slice', [shape, self.constant([2]), self.constant([4])])
        return self._sizes[size]


Translation = Callable[[OnnxBuilder, Node], str]
_TRANSLATIONS: dict[str, Translation] = {}


def translates(*operators: str) -> Callable[[Translation], Translation]:
    """Return a decorator that registers a function as the translation of operators.

    The function takes the builder and a node of the graph, adds ONNX nodes with `OnnxBuilder.emit`
    and returns the name of the last one's output. A node of an operator with several results
    stands for one of them: ``node.attributes['item']`` is its number.

    A user's translation replaces one of msseg.

    Args:
        *operators: MindSpore's names of the operators, such as ``'LayerNorm'``.

    Raises:
        KeyError: Another user's translation is registered for an operator.

    Examples:
        >>> @translates('Cosh')
        ... def cosh(builder, node):
        ...     return builder.emit('Cosh', [builder.read(node.inputs[0])])
    """

    def register(translation: Translation) -> Translation:
        for operator in operators:
            known = _TRANSLATIONS.get(operator)
            if known is not None and not known.__module__.startswith('msseg.'):
                raise KeyError(
                    f'the operator {operator!r} has an ONNX translation already, by '
                    f'{known.__module__}.{known.__name__}: keep one of them'
                )
            _TRANSLATIONS[operator] = translation
        return translation

    return register


def make_onnx(graph: Graph, metadata: Metadata) -> Any:
    """Translate a network into an ONNX model and check it with onnx.

    Args:
        graph: From the normalised image to the logits at its size, batch norms folded. Where the
            metadata leave the size open, see `OnnxBuilder` for the graph's size.
        metadata: The model's description, stored in it.

    Returns:
        The ``onnx.ModelProto``.

    Raises:
        ImportError: The package onnx is not installed.
        ValueError: An operator has no translation, or has settings that ONNX cannot express.
    """
    builder = OnnxBuilder(graph, dynamic=None in metadata.input.shape)
    onnx = builder.onnx
    is_normalised = metadata.preprocessing.included
    first = _normalise(builder, metadata) if is_normalised else metadata.input.name
    builder.finish(graph.input, graph.input_shape, first)
    for node in graph.nodes:
        _translate(builder, node)
    _name_output(builder, metadata)
    arrays = [onnx.numpy_helper.from_array(np.asarray(array, order='C'), name)
              for name, array in builder.initializers.items()]  # fmt: skip
    inputs, outputs = ([_value_info(onnx, port)] for port in (metadata.input, metadata.output))
    model = onnx.helper.make_model(
        onnx.helper.make_graph(builder.nodes, 'msseg', inputs, outputs, arrays),
        opset_imports=[onnx.helper.make_opsetid('', OPSET)],
        ir_version=IR_VERSION,
        producer_name='msseg',
        producer_version=metadata.toolbox_version,
    )
    onnx.helper.set_model_props(model, metadata.to_properties())
    onnx.checker.check_model(model, full_check=True)
    return model


def _translate(builder: OnnxBuilder, node: Node) -> None:
    if node.op == 'MakeTuple':  # its readers read its elements
        return
    if node.attributes.get('item') and node.op in _FIRST_RESULT_ONLY:
        raise ValueError(f'{node.op}: only its first result can be exported')
    if node.op not in _TRANSLATIONS:
        raise ValueError(
            f"exporting to ONNX: MindSpore's operator {node.op!r} (its result has the shape "
            f'{node.shape}) has no translation; add one with msseg.export.translates in a file '
            "that custom_imports lists, or export to 'mindir', which takes every operator"
        )
    # A padded map may have the size of another one in this graph, but not at run time; the last two
    # axes of tokens that are divided into heads are no size.
    is_divided = node.op == 'Reshape' and len(builder.shape_in(node)) in (2, 3)
    shape = None if node.op == 'Pad' or is_divided else node.shape
    builder.finish(node.name, shape, _TRANSLATIONS[node.op](builder, node))


def _normalise(builder: OnnxBuilder, metadata: Metadata) -> str:
    """Add the steps from bytes (n, h, w, c) in BGR order to the network's input."""
    steps = metadata.preprocessing
    x = builder.emit('Cast', [metadata.input.name], to=builder.onnx.TensorProto.FLOAT)
    x = builder.emit('Transpose', [x], perm=[0, 3, 1, 2])
    if steps.to_rgb:
        x = builder.emit('Gather', [x, builder.integers([2, 1, 0])], axis=1)
    mean = np.reshape(steps.mean, (-1, 1, 1))
    factor = np.reshape([1 / value for value in steps.std], (-1, 1, 1))
    x = builder.emit('Sub', [x, builder.floats(mean)])
    return builder.emit('Mul', [x, builder.floats(factor)])


def _name_output(builder: OnnxBuilder, metadata: Metadata) -> None:
    """Give the last result the output's name, after turning logits into labels if asked."""
    port, last = metadata.output, builder.names[builder.graph.output]
    if port.meaning == 'logits':
        for node in builder.nodes:
            for names in (node.input, node.output):
                names[:] = [port.name if name == last else name for name in names]
        return
    if builder.graph.shape_of(builder.graph.output)[1] > 1:
        labels = builder.emit('ArgMax', [last], axis=1, keepdims=0)
    else:
        limit = math.log(metadata.threshold / (1 - metadata.threshold))
        is_more = builder.emit('Greater', [last, builder.floats(limit)])
        labels = builder.emit('Squeeze', [is_more, builder.integers([1])])
    dtype = builder.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(port.dtype))
    builder.emit('Cast', [labels], port.name, to=dtype)


def _value_info(onnx: Any, port: Port) -> Any:
    names = {'N': 'batch', 'H': 'height', 'W': 'width'}
    axes = zip(port.layout, port.shape, strict=True)
    shape = [names[axis] if length is None else length for axis, length in axes]
    dtype = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(port.dtype))
    return onnx.helper.make_tensor_value_info(port.name, dtype, shape)
