"""Tiny networks of heads and necks, compiled by MindSpore and run by ONNX Runtime."""

import mindspore as ms
import numpy as np
import pytest

from msseg.export.passes import fold_graph
from msseg.export.writers import DISTINCT_SIZE
from msseg.models import InferenceSegmentor, build_segmentor
from msseg.models.analysis.read_graph import read_graph
from tests.test_export.graphs import run
from tests.test_models.model_configs import ThreeMaps

SIZES = ((56, 72), (73, 64))
LAYERS = dict(channels=4, num_classes=3, norm_cfg=dict(type='BN'))
NETWORKS = {
    'EncHead': dict(
        decode_head=dict(
            type='EncHead', in_channels=[8, 16], in_index=[1, 2], num_codes=3, add_lateral=True,
            **LAYERS,
        )
    ),
}  # fmt: skip


@pytest.mark.parametrize('name', NETWORKS)
def test_networks_for_any_size_give_the_same_logits(name):
    rng = np.random.default_rng(0)
    config = dict(type='EncoderDecoder', backbone=dict(type=ThreeMaps), **NETWORKS[name])
    network = InferenceSegmentor(build_segmentor(config), dynamic=False)
    for parameter in network.get_parameters():
        if 'moving' in parameter.name or parameter.name.endswith(('gamma', 'beta')):
            values = rng.uniform(0.5, 1.5, parameter.shape)
            parameter.set_data(ms.Tensor(values, ms.float32))
    graph = read_graph(network, (1, 3, *DISTINCT_SIZE))
    fold_graph(graph)
    for size in SIZES:
        x = rng.normal(size=(2, 3, *size)).astype(np.float32)
        scores = network.segmentor.predict(ms.Tensor(x))
        expected = network.finish(scores, size).asnumpy()
        got = run(graph, x, dynamic=True)
        np.testing.assert_allclose(got, expected, atol=1e-5 * abs(expected).max())
