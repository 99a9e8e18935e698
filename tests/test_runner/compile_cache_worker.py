"""Trains a line for six iterations and prints what it learnt; run with the compile cache on."""

import itertools
import sys

import mindspore as ms

from msseg.runner import GradClip, TrainStep, build_optimizer
from msseg.runner.hooks.ema import WeightAverage
from msseg.runner.loss_scaler import LossScaler
from msseg.utils.device import separate_compile_cache, setup_device
from tests.test_runner.line_model import Line, LineLoss, Loader


def main(kind, momentum):
    setup_device('CPU')
    separate_compile_cache(kind, momentum)
    model = Line()
    momentum = {'momentum': momentum} if kind == 'SGD' else {'betas': (momentum, 0.99)}
    optimizer = build_optimizer(model, {'type': kind, 'lr': 0.1, 'weight_decay': 0.1, **momentum})
    step = TrainStep(LineLoss(model), optimizer, GradClip(0.05), LossScaler(), cumulative_iters=2)
    average = WeightAverage(optimizer.parameters)
    for number, batch in enumerate(itertools.islice(Loader().batches(), 6)):
        step(ms.Tensor(batch.img), ms.Tensor(batch.gt), ms.Tensor(number % 2 == 1))
        average.update(0.1)
    for parameter in [*optimizer.parameters, *average.averages]:
        print(parameter.name, parameter.asnumpy().tolist())


if __name__ == '__main__':
    main(sys.argv[1], float(sys.argv[2]))
