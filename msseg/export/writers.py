"""Writing the formats. Each writer gives a function that runs what it has written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import nn

from msseg.deploy.metadata import Metadata
from msseg.deploy.open_file import open_file
from msseg.deploy.sidecar import sidecar
from msseg.export.concat_convs import rearrange_concat_convs
from msseg.export.fold import fold_cells, fold_graph
from msseg.export.network import ExportedNetwork, take_any_size
from msseg.export.onnx_model import make_onnx
from msseg.models import InferenceSegmentor
from msseg.models.analysis.read_graph import check_branches, read_graph

Run = Callable[[np.ndarray], np.ndarray]

# Heights and widths of an HRNet for it, and their multiples by 2, 4 and 8, are all different.
_DISTINCT_SIZE = (97, 161)


def write_onnx(model: nn.Cell, metadata: Metadata, path: Path) -> Run:
    """Write an ONNX file, metadata in it and beside it."""
    shape = (1, len(metadata.preprocessing.mean), *_DISTINCT_SIZE)
    if None in metadata.input.shape:
        take_any_size(model)
    else:
        shape = (metadata.input.batch, shape[1], *metadata.input.size)
    graph = read_graph(InferenceSegmentor(model, 'logits', dynamic=False), shape)
    fold_graph(graph)
    rearrange_concat_convs(graph)
    path.write_bytes(make_onnx(graph, metadata).SerializeToString())
    _write_metadata(metadata, path)
    return open_file(path, 'onnxruntime', 'CPU')


def write_mindir(model: nn.Cell, metadata: Metadata, path: Path) -> Run:
    """Write a MindIR file, metadata beside it."""
    network = _folded(model, metadata)
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
    """Write an AIR file, metadata beside it.

    Nothing loads such a file from Python, so the network that went into it is run.
    """
    network = _folded(model, metadata)
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


def _folded(model: nn.Cell, metadata: Metadata) -> ExportedNetwork:
    """Return the network from input to output, batch norms folded."""
    if None in metadata.input.shape:
        take_any_size(model)
    shape = (1, len(metadata.preprocessing.mean), *_DISTINCT_SIZE)
    fold_cells(model, fold_graph(read_graph(InferenceSegmentor(model, dynamic=False), shape)))
    return ExportedNetwork(model, metadata.output.meaning, metadata.preprocessing)


def _write_metadata(metadata: Metadata, path: Path) -> None:
    whole = replace(metadata, file_bytes=path.stat().st_size)
    sidecar(path).write_text(whole.to_json(), encoding='utf-8')
