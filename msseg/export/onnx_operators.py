"""MindSpore's operations in ONNX (opset 13, of which OpenCV 4.6 reads what is used here)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from msseg.export.concat_convs import FIRST_CHANNELS
from msseg.export.fold import CONV
from msseg.export.onnx_builder import OnnxBuilder
from msseg.models.analysis.graph import Node

Translation = Callable[[OnnxBuilder, Node], str]

# the same number of operands, no settings
_SAME = {
    'ReLU': 'Relu', 'Sigmoid': 'Sigmoid', 'Tanh': 'Tanh', 'Exp': 'Exp', 'Sqrt': 'Sqrt',
    'Neg': 'Neg', 'Reciprocal': 'Reciprocal', 'Add': 'Add', 'Adds': 'Add', 'Sub': 'Sub',
    'Subs': 'Sub', 'Mul': 'Mul', 'Muls': 'Mul', 'Div': 'Div', 'Divs': 'Div', 'RealDiv': 'Div',
    'Maximum': 'Max', 'Minimum': 'Min', 'Erf': 'Erf', 'Abs': 'Abs',
}  # fmt: skip


_FIRST_RESULT_ONLY = ('BatchNorm', 'LayerNorm', 'GroupNorm', 'MaxPool')
_TRANSLATIONS: dict[str, Translation] = {}


def translates(*operators: str) -> Callable[[Translation], Translation]:
    """Return a decorator that registers a function as the translation of operators.

    The function takes the builder and a node of the graph, adds ONNX nodes with `OnnxBuilder.emit`
    and returns the name of the last one's output. A node of an operator with several results
    stands for one of them: ``node.attributes['item']`` is its number.

    A translation of a user's takes the place of msseg's own.

    Args:
        *operators: MindSpore's names of the operators, such as ``'LayerNorm'``.

    Raises:
        KeyError: An operator has a translation that is not msseg's own.

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


def translate(builder: OnnxBuilder, node: Node) -> None:
    """Add a graph's node to an ONNX graph.

    Raises:
        ValueError: An operator without a translation, or set in an unusual way.
    """
    if node.op == 'MakeTuple':  # whoever reads it reads its elements
        return
    if node.attributes.get('item') and node.op in _FIRST_RESULT_ONLY:
        raise ValueError(f'{node.op}: only its first result can be exported')
    if node.op in _TRANSLATIONS:
        name = _TRANSLATIONS[node.op](builder, node)
    elif node.op in _SAME:
        name = builder.emit(_SAME[node.op], [builder.read(each) for each in node.inputs])
    else:
        raise ValueError(
            f"exporting to ONNX: MindSpore's operator {node.op!r} (its result has the shape "
            f'{node.shape}) has no translation: add one in a file of your own with '
            'msseg.export.translates, listed in custom_imports, or export to the format '
            f"'mindir', which takes every operator. Known are {sorted({*_SAME, *_TRANSLATIONS})}"
        )
    builder.finish(node, name)


@translates(CONV)
def _convolution(builder: OnnxBuilder, node: Node) -> str:
    settings = node.attributes
    if settings.get('format', 'NCHW') != 'NCHW':
        raise ValueError(f'Conv2D: format is {settings["format"]!r}, expected NCHW')
    top, bottom, left, right = settings['pad_list']
    return builder.emit(
        'Conv',
        [builder.read(each) for each in node.inputs],
        kernel_shape=list(builder.graph.values[node.inputs[1]].shape[2:]),
        strides=list(settings['stride'][-2:]),
        dilations=list(settings['dilation'][-2:]),
        pads=[top, left, bottom, right],
        group=settings.get('group', 1),
    )


@translates('BatchNorm')
def _batch_norm(builder: OnnxBuilder, node: Node) -> str:
    if builder.setting(node, 5, 'is_training'):
        raise ValueError('BatchNorm: normalises by the batch, not by its running statistics')
    return builder.emit(
        'BatchNormalization',
        [builder.read(each) for each in node.inputs[:5]],
        epsilon=builder.setting(node, 6, 'epsilon'),
    )


@translates('BiasAdd')
def _bias(builder: OnnxBuilder, node: Node) -> str:
    bias = builder.graph.values[node.inputs[1]]
    rank = len(builder.graph.shape_of(node.inputs[0]))
    return builder.emit(
        'Add',
        [builder.read(node.inputs[0]), builder.constant(bias.reshape(-1, *[1] * (rank - 2)))],
    )


@translates('ResizeBilinearV2')
def _resize(builder: OnnxBuilder, node: Node) -> str:
    size = tuple(builder.setting(node, 1, 'size'))
    keeps_corners = builder.setting(node, 2, 'align_corners')
    if not keeps_corners and not builder.setting(node, 3, 'half_pixel_centers'):
        raise ValueError('ResizeBilinearV2: without align_corners it must have half_pixel_centers')
    x = builder.read(node.inputs[0])
    old = builder.graph.shape_of(node.inputs[0])
    inputs = [x, '', *_new_size(builder, x, old, size)]
    # 'pytorch_half_pixel' is 'half_pixel', but at a size of 1; OpenCV 4.6 takes only the former
    # for what it means.
    mode = 'align_corners' if keeps_corners else 'pytorch_half_pixel'
    return builder.emit('Resize', inputs, mode='linear', coordinate_transformation_mode=mode)


def _new_size(
    builder: OnnxBuilder, x: str, old: tuple[int, ...], size: tuple[int, int]
) -> list[str]:
    """Return Resize's operands ``scales`` and ``sizes``, the latter left away for scales."""
    if not builder.dynamic:
        return ['', builder.constant([*old[:2], *size], np.int64)]
    wanted = builder.run_time_size(size)
    if wanted is not None:
        rest = builder.emit(
            'Slice', [builder.emit('Shape', [x]), builder.constant([0]), builder.constant([2])]
        )
        return ['', builder.emit('Concat', [rest, wanted], axis=0)]
    factors = [new // before for new, before in zip(size, old[2:], strict=True)]
    if [f * before for f, before in zip(factors, old[2:], strict=True)] != list(size):
        raise ValueError(
            f'ResizeBilinearV2: resizes {old[2:]} to {size}, which is neither the size of anything '
            'before it nor a multiple: export one size, without --dynamic'
        )
    return [builder.constant([1, 1, *factors], np.float32)]


@translates('Reshape')
def _reshape(builder: OnnxBuilder, node: Node) -> str:
    shape = list(builder.setting(node, 1, 'shape'))
    x = builder.read(node.inputs[0])
    old = builder.graph.shape_of(node.inputs[0])
    if not builder.dynamic:
        return builder.emit('Reshape', [x, builder.constant(shape, np.int64)])
    head = [0] if shape[0] == old[0] == 1 else shape[:1]  # 0: as many images as there are
    if len(shape) == 4:
        size = builder.run_time_size(tuple(shape[2:]))
        if size is not None:
            head = builder.constant([*head, shape[1]], np.int64)
            return builder.emit('Reshape', [x, builder.emit('Concat', [head, size], axis=0)])
    if len(old) == 4 and len(shape) == 3 and shape[2] == old[2] * old[3]:
        shape[2] = -1
    return builder.emit('Reshape', [x, builder.constant([*head, *shape[1:]], np.int64)])


@translates('Concat')
def _concat(builder: OnnxBuilder, node: Node) -> str:
    pack = next(each for each in builder.graph.nodes if each.name == node.inputs[0])
    axis = builder.setting(node, 1, 'axis')
    return builder.emit('Concat', [builder.read(each) for each in pack.inputs], axis=axis)


@translates(FIRST_CHANNELS)
def _first_channels(builder: OnnxBuilder, node: Node) -> str:
    starts, ends, axes = (builder.constant([number], np.int64) for number in (0, node.shape[1], 1))
    return builder.emit('Slice', [builder.read(node.inputs[0]), starts, ends, axes])


@translates('Softmax')
def _softmax(builder: OnnxBuilder, node: Node) -> str:
    axis = builder.setting(node, 1, 'axis')
    axis = axis[0] if isinstance(axis, tuple) else axis
    return builder.emit('Softmax', [builder.read(node.inputs[0])], axis=axis)


@translates('BatchMatMul', 'MatMul')
def _product(builder: OnnxBuilder, node: Node) -> str:
    names = []
    for index, setting in enumerate(('transpose_a', 'transpose_b')):
        name, rank = node.inputs[index], len(builder.graph.shape_of(node.inputs[index]))
        order = [*range(rank - 2), rank - 1, rank - 2]
        read = builder.read(name)
        is_turned = builder.setting(node, 2 + index, setting)
        names.append(builder.emit('Transpose', [read], perm=order) if is_turned else read)
    return builder.emit('MatMul', names)


@translates('Transpose')
def _transpose(builder: OnnxBuilder, node: Node) -> str:
    order = list(builder.setting(node, 1, 'perm'))
    return builder.emit('Transpose', [builder.read(node.inputs[0])], perm=order)


@translates('MaxPool')
def _max_pool(builder: OnnxBuilder, node: Node) -> str:
    settings: dict[str, Any] = node.attributes
    if settings.get('pad_mode') not in ('VALID', 2):
        raise ValueError(f'MaxPool: pad_mode is {settings.get("pad_mode")!r}, expected VALID')
    return builder.emit(
        'MaxPool',
        [builder.read(node.inputs[0])],
        kernel_shape=list(settings['kernel_size'][-2:]),
        strides=list(settings['strides'][-2:]),
    )


@translates('GeLU')
def _gelu(builder: OnnxBuilder, node: Node) -> str:
    """MindSpore's GeLU is the one by tanh: x / 2 * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))."""
    x = builder.read(node.inputs[0])
    numbers = (0.044715, math.sqrt(2 / math.pi), 1.0, 0.5)
    cubic, slope, one, half = (builder.constant(value, np.float32) for value in numbers)
    cube = builder.emit('Mul', [builder.emit('Mul', [x, x]), x])
    inside = builder.emit('Add', [x, builder.emit('Mul', [cube, cubic])])
    bent = builder.emit('Tanh', [builder.emit('Mul', [inside, slope])])
    return builder.emit('Mul', [builder.emit('Mul', [x, half]), builder.emit('Add', [bent, one])])


@translates('ReLU6')
def _relu6(builder: OnnxBuilder, node: Node) -> str:
    limits = [builder.constant(value, np.float32) for value in (0, 6)]
    return builder.emit('Clip', [builder.read(node.inputs[0]), *limits])


@translates('SiLU')
def _silu(builder: OnnxBuilder, node: Node) -> str:
    x = builder.read(node.inputs[0])
    return builder.emit('Mul', [x, builder.emit('Sigmoid', [x])])
