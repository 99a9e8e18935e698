"""A file as tools/export.py writes it, without a network being compiled for it."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from msseg.deploy.metadata import Metadata, Port, Preprocessing, sidecar
from msseg.export.onnx_graph import make_onnx
from msseg.export.passes import fold_graph
from msseg.models.analysis.graph import Graph, Node

MEAN, STD = (100.0, 120.0, 140.0), (50.0, 60.0, 70.0)
CLASSES, PALETTE = ('earth', 'plate'), ((1, 2, 3), (200, 100, 0))


def write_onnx(
    path: Path, size=(6, 8), batch=1, channels=2, meaning='logits', threshold=None, **steps
) -> Metadata:
    """Write a network whose logits are sums of colours: red - blue, green - red."""
    weight = np.array([[1, 0, -1], [-1, 1, 0]], np.float32)[:channels, :, None, None]
    shapes = [(batch, 3, *size), (batch, channels, *size)]
    settings = dict(pad_list=(0,) * 4, stride=(1,) * 4, dilation=(1,) * 4)
    conv = Node('Conv2D', 'y', ['x', 'g:w'], settings, shapes[1])
    graph = Graph('x', shapes[0], 'y', [conv], {'g:w': weight})
    fold_graph(graph)
    included = steps.pop('included', False)
    metadata = Metadata(
        Port('image', 'uint8', 'NHWC', (batch, *size, 3), '')
        if included
        else Port('image', 'float32', 'NCHW', shapes[0], ''),
        Port('labels', 'int32', 'NHW', (batch, *size), 'labels')
        if meaning == 'labels'
        else Port('logits', 'float32', 'NCHW', shapes[1], 'logits'),
        Preprocessing(included, True, MEAN, STD, **steps),
        CLASSES,
        PALETTE,
        align_corners=False,
        threshold=threshold,
        toolbox_version='0',
    )
    path.write_bytes(make_onnx(graph, metadata).SerializeToString())
    metadata = replace(metadata, file_bytes=path.stat().st_size)
    sidecar(path).write_text(metadata.to_json())
    return metadata


def expected_logits(image: np.ndarray, channels: int = 2) -> np.ndarray:
    """The logits (channels, h, w) of a BGR image."""
    b, g, r = np.moveaxis(image.astype(np.float64), 2, 0)
    r, g, b = ((plane - m) / s for plane, m, s in zip((r, g, b), MEAN, STD, strict=True))
    return np.stack([r - b, g - r])[:channels]
