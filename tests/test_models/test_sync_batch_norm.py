"""Two processes with half a batch each normalise as one with the whole."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

WORKER = Path(__file__).with_name('sync_batch_norm_worker.py')
ROOT = WORKER.parents[2]


def test_two_processes_equal_one(tmp_path):
    rng = np.random.default_rng(0)
    # Halves of different means, so that statistics of a half alone would be far off.
    x = rng.normal(size=(4, 3, 5, 6)) + np.array([0, 0, 4, 4]).reshape(4, 1, 1, 1)
    target = rng.normal(size=x.shape)
    np.savez(tmp_path / 'data.npz', x=x.astype(np.float32), target=target.astype(np.float32))
    run_two_processes(tmp_path)

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


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def run_two_processes(folder):
    # msrun starts the first `python` on the path.
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    environment['PATH'] = f'{Path(sys.executable).parent}{os.pathsep}{environment["PATH"]}'
    for key in [key for key in environment if key.startswith(('MS_', 'RANK_', 'PYTEST'))]:
        del environment[key]
    command = [
        Path(sys.executable).with_name('msrun'),
        *('--worker_num=2', '--local_worker_num=2', '--join=True', f'--master_port={free_port()}'),
        f'--log_dir={folder / "log"}',
        *(WORKER, str(ms.GRAPH_MODE), folder / 'data.npz', folder),
    ]
    process = subprocess.run(
        [str(part) for part in command],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=180,
    )
    if process.returncode:
        logs = ''.join(p.read_text()[-2000:] for p in (folder / 'log').glob('worker_*.log'))
        pytest.fail(f'{process.stdout[-500:]}{process.stderr[-500:]}{logs}')
