"""Two processes with half a batch each normalise, and find bases, as one with the whole."""

from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.models.decode_heads.ema_head import EMAModule
from msseg.models.layers.norm import SyncBatchNorm2d, build_norm_layer, freeze_statistics
from tests.many_processes import run_processes

WORKER = Path(__file__).with_name('sync_batch_norm_worker.py')


def test_two_processes_equal_one(tmp_path):
    rng = np.random.default_rng(0)
    # Halves of different means, so that statistics of a half alone would be far off.
    x = rng.normal(size=(4, 3, 5, 6)) + np.array([0, 0, 4, 4]).reshape(4, 1, 1, 1)
    target = rng.normal(size=x.shape)
    ema = EMAModule(3, 2, num_stages=2, momentum=0.5).set_train()
    arrays = {'x': x, 'target': target, 'bases': ema.bases.asnumpy()}
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    np.savez(tmp_path / 'data.npz', **arrays)
    run_processes(tmp_path, 2, WORKER, ms.GRAPH_MODE, tmp_path / 'data.npz', tmp_path)

    layer = nn.BatchNorm2d(3, momentum=0.7).set_train()
    function = ms.grad(lambda a, b: (layer(a) * b).sum(), 0, layer.trainable_params())
    dx, (dgamma, dbeta) = function(ms.Tensor(x, ms.float32), ms.Tensor(target, ms.float32))
    ranks = [dict(np.load(tmp_path / f'{rank}.npz')) for rank in range(2)]
    assert all(rank['type'] == 'SyncBatchNorm2d' for rank in ranks)
    both = np.concatenate([rank['dx'] for rank in ranks])
    np.testing.assert_allclose(both, dx.asnumpy(), atol=1e-5)
    # Gradients of parameters are each device's share; training averages them over devices.
    for name, expected in (('dgamma', dgamma), ('dbeta', dbeta)):
        total = ranks[0][name] + ranks[1][name]
        np.testing.assert_allclose(total, expected.asnumpy(), atol=1e-4)
    for name in ('moving_mean', 'moving_variance'):
        for rank in ranks:
            np.testing.assert_allclose(rank[name], getattr(layer, name).asnumpy(), atol=1e-5)
    ema(ms.Tensor(x, ms.float32))
    for rank in ranks:
        np.testing.assert_allclose(rank['bases'], ema.bases.asnumpy(), atol=1e-5)
    assert abs(ema.bases.asnumpy() - arrays['bases']).max() > 0.1


@pytest.mark.parametrize('norm', [SyncBatchNorm2d, nn.SyncBatchNorm])
def test_parameters_and_their_order_are_those_of_batch_norm(norm):
    plain = nn.BatchNorm2d(3)
    expected = [(p.name, p.shape, p.requires_grad) for p in plain.get_parameters()]
    assert [(p.name, p.shape, p.requires_grad) for p in norm(3).get_parameters()] == expected
    fixed = [p.requires_grad for p in nn.BatchNorm2d(3, affine=False).get_parameters()]
    assert [p.requires_grad for p in norm(3, affine=False).get_parameters()] == fixed


@pytest.mark.parametrize('norm', [SyncBatchNorm2d, nn.SyncBatchNorm])
def test_frozen_statistics_are_used_in_training_and_do_not_change(norm):
    layer = nn.SequentialCell(norm(3)).set_train()
    freeze_statistics(layer)
    plain = nn.BatchNorm2d(3).set_train(False)
    values = np.random.default_rng(0).uniform(0.5, 2, (2, 3)).astype(np.float32)
    for each in (layer[0], plain):
        each.moving_mean.set_data(ms.Tensor(values[0]))
        each.moving_variance.set_data(ms.Tensor(values[1]))
    x = ms.Tensor(np.random.default_rng(1).normal(size=(2, 3, 4, 4)), ms.float32)
    np.testing.assert_array_equal(layer(x).asnumpy(), plain(x).asnumpy())
    np.testing.assert_array_equal(layer[0].moving_mean.asnumpy(), values[0])


def test_one_device_has_plain_batch_norm():
    assert type(build_norm_layer({'type': 'SyncBN'}, 3)[1]) is nn.BatchNorm2d
