"""Branches that layers and losses take on cards give the numbers of the CPU's."""

import mindspore as ms
import numpy as np
import pytest

from msseg.models.layers import ChannelSoftmax, LabelLogProb, RankedValue, resize
from msseg.models.losses.cross_entropy_loss import CrossEntropyLoss
from msseg.models.losses.lovasz_loss import LovaszLoss
from msseg.models.losses.ohem_cross_entropy import OhemCrossEntropy
from msseg.models.losses.rmi_loss import RMILoss
from msseg.models.samplers.ohem_pixel_sampler import OHEMPixelSampler
from msseg.models.segmentors import InferenceSegmentor
from msseg.utils.target import assume_target
from tests import tiny_families

RNG = np.random.default_rng(0)
LOGITS = ms.Tensor(2 * RNG.normal(size=(2, 5, 16, 20)).astype(np.float32))
LABELS = ms.Tensor(RNG.choice([0, 1, 2, 4, 255], (2, 16, 20)).astype(np.int32))


def on_each(make, *inputs):
    """Return by device what a cell gives and its gradient."""
    found = {}
    for device in ('CPU', 'GPU', 'Ascend'):
        with assume_target(device):
            value, grad = ms.value_and_grad(make())(*inputs)
            found[device] = value.asnumpy(), grad.asnumpy()
    return found


@pytest.mark.parametrize(
    ('make', 'tolerance'),
    [
        (lambda: CrossEntropyLoss(class_weight=[1.0, 2.0, 0.5, 1.0, 3.0]), 1e-6),
        (lambda: OhemCrossEntropy(thres=0.1, min_kept=300), 1e-6),
        (lambda: LovaszLoss(reduction='none'), 1e-5),
        (lambda: RMILoss(rmi_pool_size=2, rmi_pool_stride=2), 1e-4),
    ],
    ids=['cross_entropy', 'ohem', 'lovasz', 'rmi'],
)
def test_losses(make, tolerance):
    values = on_each(make, LOGITS, LABELS)
    for device in ('GPU', 'Ascend'):
        for found, expected in zip(values[device], values['CPU'], strict=True):
            scale = np.abs(expected).max()
            np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


def test_layers():
    labels = ms.Tensor(LABELS.asnumpy() % 5)
    for make, inputs in (
        (LabelLogProb, (LOGITS, labels)),
        (ChannelSoftmax, (LOGITS,)),
    ):
        values = on_each(make, *inputs)
        for device in ('GPU', 'Ascend'):
            np.testing.assert_allclose(values[device][0], values['CPU'][0], atol=1e-6)


@pytest.mark.parametrize('options', [dict(thresh=0.05, min_kept=70), dict(min_kept=60)])
def test_the_same_pixels_are_hard(options):
    losses = ms.Tensor(RNG.random((2, 16, 20)).astype(np.float32))
    chosen = []
    for device in ('CPU', 'GPU'):
        with assume_target(device):
            chosen.append(OHEMPixelSampler(**options)(LOGITS, LABELS, losses).asnumpy())
    assert 0 < chosen[0].sum() < chosen[0].size
    np.testing.assert_array_equal(*chosen)


@pytest.mark.parametrize('k', [1, 2, 500, 1000])
def test_the_kth_largest_number(k):
    x = np.concatenate([RNG.normal(size=500), np.full(500, -2.0)]).astype(np.float32)
    with assume_target('GPU'):
        found = RankedValue()(ms.Tensor(x), ms.Tensor(k - 1, ms.int32), 1000)
    assert found.asnumpy() == np.sort(x)[-k]


def test_rmi_is_refused_where_float32_is_not_multiplied():
    with assume_target('Ascend', 'ascend910'), pytest.raises(ValueError, match='multiplies in flo'):
        RMILoss()


def test_a_graph_is_of_one_size_where_graphs_are_sunk():
    network, x = tiny_families.build('fcn'), ms.Tensor(tiny_families.images((32, 48))[0])
    expected = InferenceSegmentor(network)(x).asnumpy()
    with assume_target('Ascend', 'ascend910'):
        one_size = InferenceSegmentor(network)
    assert one_size.get_inputs() is None
    np.testing.assert_allclose(one_size(x).asnumpy(), expected, atol=1e-5)
    with assume_target('Ascend', 'ascend910b'):
        assert InferenceSegmentor(network).get_inputs() is not None


def test_resizes():
    x = ms.Tensor(RNG.normal(size=(1, 2, 5, 6)).astype(np.float32))
    for corners in (False, True):
        expected = resize(x, (9, 13), corners).asnumpy()
        with assume_target('GPU'):
            np.testing.assert_allclose(resize(x, (9, 13), corners).asnumpy(), expected, atol=1e-6)
