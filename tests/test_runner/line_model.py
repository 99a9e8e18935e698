"""A model so small that its gradients can be written down, and batches for it."""

from typing import NamedTuple

import mindspore as ms
import numpy as np
from mindspore import nn


class Line(nn.Cell):
    """y = weight x + bias, then scaled by gamma: a weight, a bias and a normalisation's gamma."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Dense(3, 2)
        self.bn = nn.BatchNorm1d(2)
        weight = np.arange(6, dtype=np.float32).reshape(2, 3) / 6
        self.dense.weight.set_data(ms.Tensor(weight))
        self.dense.bias.set_data(ms.Tensor(np.array([0.5, -0.5], np.float32)))

    def construct(self, x):
        return self.dense(x) * self.bn.gamma + self.bn.beta


class LineLoss(nn.Cell):
    """The mean of y times the labels: its gradients do not depend on what the values are."""

    value_names = ('line.loss_mean',)

    def __init__(self, line):
        super().__init__(auto_prefix=False)
        self.line = line

    def construct(self, img, gt):
        loss = (self.line(img) * gt).mean()
        return loss, (loss,)


class Batch(NamedTuple):
    img: np.ndarray
    gt: np.ndarray
    indices: list
    filenames: list


class Loader:
    """Batches that depend on the iteration alone."""

    def __init__(self, iters_per_epoch=4, poison_at=None):
        self.iters_per_epoch = iters_per_epoch
        self.global_batch = 5
        self.poison_at = poison_at

    def batches(self, start_iter=0):
        iteration = start_iter
        while True:
            rng = np.random.default_rng(iteration)
            img = rng.normal(size=(5, 3)).astype(np.float32)
            if iteration == self.poison_at:
                img[0, 0] = np.nan
            gt = rng.normal(size=(5, 2)).astype(np.float32)
            names = [f'image_{iteration}_{i}.png' for i in range(5)]
            yield Batch(img, gt, list(range(5)), names)
            iteration += 1
