"""Writers of the file formats. Each returns a function that runs the file it has written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from msseg.deploy.metadata import Metadata, Preprocessing, sidecar
from msseg.deploy.runners import open_file
from msseg.export.onnx_graph import make_onnx
from msseg.export.passes import fold_cells, fold_graph, rearrange_concat_convs
from msseg.models import InferenceSegmentor
from msseg.models.analysis.graph import Graph
from msseg.models.analysis.read_graph import check_branches, read_graph

Run = Callable[[np.ndarray], np.ndarray]

# 3 * 32 + 1 differs from its halves, rounded up, and from their doubles; 5 * 32 - 1 does so with
# halves rounded down. So a size in the graph belongs to one resolution, whichever way it is halved.
DISTINCT_SIZE = (97, 159)
_DISTINCT_FACTORS = (7, 11)  # the same for networks that take multiples of a power of 2 only


class ExportedNetwork(nn.Cell):
    """A segmentor from a file's input to its output.

    Args:
        segmentor: The network, its batch norms folded.
        meaning: ``logits`` or ``labels``.
        preprocessing: Whether to normalise, and how.
    """

    def __init__(self, segmentor: nn.Cell, meaning: str, preprocessing: Preprocessing) -> None:
        super().__init__(auto_prefix=False)
        self.network = InferenceSegmentor(segmentor, meaning, dynamic=False)
        self.normalises = preprocessing.included
        order = [2, 1, 0] if preprocessing.to_rgb else list(range(len(preprocessing.mean)))
        self.order = ms.Tensor(order, ms.int32)
        self.mean = ms.Tensor(np.reshape(preprocessing.mean, (-1, 1, 1)), ms.float32)
        self.factor = ms.Tensor(1 / np.reshape(preprocessing.std, (-1, 1, 1)), ms.float32)
        self.set_train(False)

    def construct(self, image: ms.Tensor) -> ms.Tensor:
        """Run on float32 (n, c, h, w), or when it normalises on uint8 (n, h, w, c) in BGR order."""
        if self.normalises:
            image = image.astype(ms.float32).transpose(0, 3, 1, 2)
            image = (ops.gather(image, self.order, 1) - self.mean) * self.factor
        return self.network(image)


def write_onnx(model: nn.Cell, metadata: Metadata, path: Path) -> Run:
    """Write an ONNX file that contains the metadata, and the metadata next to it."""
    graph, _ = _folded_graph(model, metadata, is_sized=None not in metadata.input.shape)
    rearrange_concat_convs(graph)
    path.write_bytes(make_onnx(graph, metadata).SerializeToString())
    _write_metadata(metadata, path)
    return open_file(path, 'onnxruntime', 'CPU')


def write_mindir(model: nn.Cell, metadata: Metadata, path: Path) -> Run:
    """Write a MindIR file, and the metadata next to it."""
    network = _folded_network(model, metadata)
    is_dynamic = None in metadata.input.shape
    shape, dtype = list(metadata.input.shape), getattr(ms, metadata.input.dtype)
    ms.export(
        network,
        ms.Tensor(shape=shape, dtype=dtype, init=None if is_dynamic else 'zeros'),
        file_name=str(path),
        file_format='MINDIR',
        custom_func=check_branches,
    )
    if not path.exists():
        raise ValueError(
            'the weights are more than 1 GB, and MindSpore splits them off into files of their '
            'own: not supported'
        )
    path.chmod(0o644)  # MindSpore lets only the owner read it
    _write_metadata(metadata, path)
    return open_file(path, 'mindspore', ms.get_context('device_target'))


def write_air(model: nn.Cell, metadata: Metadata, path: Path) -> Run:
    """Write an AIR file, and the metadata next to it.

    No Python package loads such a file, so the function runs the network that was exported.
    """
    network = _folded_network(model, metadata)
    image = ms.Tensor(np.zeros(metadata.input.shape, metadata.input.dtype))
    ms.export(network, image, file_name=str(path), file_format='AIR')
    path.chmod(0o644)
    _write_metadata(metadata, path)
    return lambda batch: network(ms.Tensor(batch)).asnumpy()


WRITERS: dict[str, Callable[[nn.Cell, Metadata, Path], Run]] = {
    'mindir': write_mindir,
    'onnx': write_onnx,
    'air': write_air,
}


def _folded_graph(model: nn.Cell, metadata: Metadata, is_sized: bool) -> tuple[Graph, Any]:
    """Return the network's graph, batch norms folded, and the foldings."""
    if None in metadata.input.shape:
        for _, cell in model.cells_and_names():
            if hasattr(cell, 'always_resizes'):  # compute the same operations for all sizes
                cell.always_resizes = True
    batch = 1
    size = distinct_size(getattr(model, 'size_divisor', 1), getattr(model, 'smallest_image', 1))
    if is_sized:
        batch, size = metadata.input.batch, metadata.input.size
    shape = (batch, len(metadata.preprocessing.mean), *size)
    graph = read_graph(InferenceSegmentor(model, dynamic=False), shape)
    return graph, fold_graph(graph)


def distinct_size(divisor: int, smallest: int = 1) -> tuple[int, int]:
    """Return the size at which the graph of a network for any size is read.

    Args:
        divisor: The network takes multiples of it only.
        smallest: The smallest height and width that it takes.
    """
    sizes = DISTINCT_SIZE
    if divisor > 1:
        sizes = (_DISTINCT_FACTORS[0] * divisor, _DISTINCT_FACTORS[1] * divisor)
    more = -(-max(smallest - min(sizes), 0) // divisor) * divisor
    return sizes[0] + more, sizes[1] + more


def _folded_network(model: nn.Cell, metadata: Metadata) -> ExportedNetwork:
    fold_cells(model, _folded_graph(model, metadata, is_sized=False)[1])
    return ExportedNetwork(model, metadata.output.meaning, metadata.preprocessing)


def _write_metadata(metadata: Metadata, path: Path) -> None:
    whole = replace(metadata, file_bytes=path.stat().st_size)
    sidecar(path).write_text(whole.to_json(), encoding='utf-8')
