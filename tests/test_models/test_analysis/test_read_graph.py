"""What MindSpore compiles, as exporting reads and changes it."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.export.passes import Folding, fold_cells
from msseg.models.analysis.read_graph import check_branches, read_graph
from msseg.models.layers import Conv2d, build_activation_layer
from tests.test_export.graphs import run

SHAPE = (1, 3, 6, 6)
X = np.random.default_rng(0).uniform(-2, 2, SHAPE).astype(np.float32)
KINDS = ('ReLU', 'ReLU6', 'GELU', 'SiLU', 'Sigmoid', 'Tanh', 'LeakyReLU')


class Activations(nn.Cell):
    """The sum of all activations that configs can name, pooled."""

    def __init__(self):
        super().__init__()
        self.layers = nn.CellList([build_activation_layer({'type': kind}) for kind in KINDS])
        self.pool = nn.MaxPool2d(2, 2)

    def construct(self, x):
        total = 0.0
        for layer in self.layers:
            total = total + layer(x)
        return self.pool(total)


class Branches(nn.Cell):
    """Computes something else for large images."""

    def construct(self, x):
        if x.shape[2] > 8:
            return nn.ReLU()(x)
        return x * 2


def test_every_activation_is_translated():
    network = Activations()
    graph = read_graph(network, SHAPE)
    assert graph.counts()['MaxPool'] == 1
    found = run(graph, X)
    np.testing.assert_allclose(found, network(ms.Tensor(X)).asnumpy(), rtol=1e-4, atol=1e-5)


def test_networks_that_choose_by_size_are_refused(tmp_path):
    with pytest.raises(ValueError, match='chooses by its input what it computes.*without --dyn'):
        ms.export(
            Branches(),
            ms.Tensor(shape=[1, 3, None, None], dtype=ms.float32),
            file_name=str(tmp_path / 'a.mindir'),
            file_format='MINDIR',
            custom_func=check_branches,
        )
    assert not list(tmp_path.iterdir())


class Blocks(nn.Cell):
    """Norms behind convolutions: by name, in a sequence, and two behind one weight."""

    def __init__(self):
        super().__init__()
        self.conv = Conv2d(3, 4, 1, bias=True)
        self.norm = nn.BatchNorm2d(4)
        self.chain = nn.SequentialCell(Conv2d(4, 4, 1, bias=False), nn.BatchNorm2d(4))
        self.shared = Conv2d(4, 4, 1, bias=False)
        self.first, self.second = nn.BatchNorm2d(4), nn.BatchNorm2d(4)

    def construct(self, x):
        x = self.chain(self.norm(self.conv(x)))
        return self.second(self.shared(self.first(self.shared(x))))


def test_norms_fold_into_cells_but_not_into_shared_ones():
    ms.set_context(mode=ms.PYNATIVE_MODE)
    network, rng = Blocks(), np.random.default_rng(0)
    network.set_train(False)
    foldings = []
    pairs = [('conv', 'norm'), ('chain.0', 'chain.1'), ('shared', 'first'), ('shared', 'second')]
    for conv, name in pairs:
        scale, shift = rng.uniform(0.5, 2, 4).astype(np.float32), rng.normal(size=4)
        norm = next(cell for key, cell in network.cells_and_names() if key == name)
        norm.gamma.set_data(ms.Tensor(scale * np.sqrt(1 + norm.eps), ms.float32))
        norm.beta.set_data(ms.Tensor(shift, ms.float32))
        foldings.append(Folding(f'{conv}.weight', f'{name}.gamma', scale, shift))
    expected = network(ms.Tensor(X)).asnumpy()
    fold_cells(network, foldings)
    norms = [key for key, cell in network.cells_and_names() if isinstance(cell, nn.BatchNorm2d)]
    assert norms == ['first', 'second']
    np.testing.assert_allclose(network(ms.Tensor(X)).asnumpy(), expected, rtol=1e-4, atol=1e-5)
    assert len({parameter.name for parameter in network.get_parameters()}) == len(
        list(network.get_parameters())
    )
