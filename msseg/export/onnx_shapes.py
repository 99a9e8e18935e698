"""ONNX translations of resizes and of what changes shapes, axes and indices."""

from __future__ import annotations

import numpy as np

from msseg.export.onnx_graph import OnnxBuilder, translates
from msseg.export.passes import FIRST_CHANNELS
from msseg.models.analysis.graph import Node

_END = np.iinfo(np.int64).max


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
    ends = [builder.constant([0]), builder.constant([2])]
    head = [0] if shape[0] == old[0] == 1 else shape[:1]  # 0: as many images as there are
    if len(shape) == 4:
        size = builder.run_time_size(tuple(shape[2:]))
        if size is not None:
            head = builder.integers([*head, shape[1]])
            return builder.emit('Reshape', [x, builder.emit('Concat', [head, size], axis=0)])
    if len(old) == 4 and len(shape) in (3, 4) and shape[-1] == old[2] * old[3]:
        return builder.emit('Reshape', [x, builder.integers([*head, *shape[1:-1], -1])])
    if len(old) == 3 and node.shape == (old[0] * old[1], old[2]):  # the tokens of all images
        builder.tokens[node.shape[0]] = builder.emit('Slice', [builder.emit('Shape', [x]), *ends])
    if len(shape) == 2 and shape[0] in builder.tokens:
        return builder.emit('Reshape', [x, builder.integers([-1, shape[1]])])
    if len(old) == 2 and old[0] in builder.tokens and old[0] == shape[0] * shape[1]:
        rest = builder.integers(shape[2:])
        whole = builder.emit('Concat', [builder.tokens[old[0]], rest], axis=0)
        return builder.emit('Reshape', [x, whole])
    same = next((i for i in range(len(shape)) if shape[: i + 1] != list(old[: i + 1])), len(shape))
    return builder.emit('Reshape', [x, builder.integers([0] * same + shape[same:])])


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
    masks = [int(builder.setting_or(node, 4 + i, name, 0)) for i, name in enumerate(names)]
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


@translates('Pad')
def _pad(builder: OnnxBuilder, node: Node) -> str:
    before, after = zip(*builder.setting(node, 1, 'paddings'), strict=True)
    amounts = builder.integers([*before, *after])
    return builder.emit('Pad', [builder.read(node.inputs[0]), amounts], mode='constant')
