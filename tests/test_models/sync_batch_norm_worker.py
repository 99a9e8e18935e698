"""One process of two: normalises its half of a batch, finds its bases, saves what came out."""

import sys
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import nn

from msseg.models.decode_heads.ema_head import EMAModule
from msseg.models.layers import build_norm_layer
from msseg.utils.device import setup_device
from msseg.utils.dist import get_rank, init_dist


class Gradient(nn.Cell):
    def __init__(self, layer):
        super().__init__(auto_prefix=False)
        self.layer = layer
        self.grad = ms.grad(self.loss, 0, layer.trainable_params())

    def loss(self, x, target):
        return (self.layer(x) * target).sum()

    def construct(self, x, target):
        return self.grad(x, target)


def main(mode, data_file, folder):
    setup_device('CPU', launcher='msrun')
    ms.set_context(mode=int(mode))
    init_dist('msrun')
    rank = get_rank()
    half = slice(2 * rank, 2 * rank + 2)
    data = np.load(data_file)
    layer = build_norm_layer(dict(type='SyncBN', momentum=0.3), data['x'].shape[1])[1].set_train()
    x, target = ms.Tensor(data['x'][half]), ms.Tensor(data['target'][half])
    dx, (dgamma, dbeta) = Gradient(layer)(x, target)
    ema = EMAModule(x.shape[1], 2, num_stages=2, momentum=0.5).set_train()
    ema.bases.set_data(ms.Tensor(data['bases']))
    ema(x)
    np.savez(
        Path(folder) / f'{rank}.npz',
        type=type(layer).__name__,
        dx=dx.asnumpy(),
        dgamma=dgamma.asnumpy(),
        dbeta=dbeta.asnumpy(),
        moving_mean=layer.moving_mean.asnumpy(),
        moving_variance=layer.moving_variance.asnumpy(),
        bases=ema.bases.asnumpy(),
        y=layer.set_train(False)(x).asnumpy(),
    )


if __name__ == '__main__':
    main(*sys.argv[1:])
