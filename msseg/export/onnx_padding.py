"""ONNX translation of padding."""

from __future__ import annotations

from msseg.export.onnx_graph import OnnxBuilder, translates
from msseg.models.analysis.graph import Node


@translates('Pad')
def _pad(builder: OnnxBuilder, node: Node) -> str:
    before, after = zip(*builder.setting(node, 1, 'paddings'), strict=True)
    amounts = builder.integers([*before, *after])
    return builder.emit('Pad', [builder.read(node.inputs[0]), amounts], mode='constant')
