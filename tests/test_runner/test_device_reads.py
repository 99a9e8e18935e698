"""When the host waits for the device: at log lines alone."""

import mindspore as ms
import numpy as np
import pytest

from msseg.apis.train import register_hooks
from msseg.apis.train_settings import HookSettings
from msseg.models import SegmentorWithLoss
from msseg.runner import IterBasedRunner, TrainStep, build_optimizer
from msseg.runner.hooks import Hook, StopSignalHook
from msseg.runner.loss_scaler import LossScaler
from msseg.utils.logging import get_logger
from msseg.utils.stop_signals import StopSignals
from tests import tiny_families
from tests.test_runner.line_model import Batch


class Images:
    """The same two small images again and again."""

    iters_per_epoch, global_batch = 1000, 2

    def batches(self, start_iter=0):
        img = np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32)
        while True:
            yield Batch(img, (img[:, 0] > 0).astype(np.int32), [0, 1], ['a.png', 'b.png'])

    def load(self, iteration):
        batch = next(self.batches())
        return batch.img, batch.gt


class Clock(Hook):
    """Notes in which iteration the device was read, from the second one on."""

    def __init__(self, monkeypatch):
        self.iteration, self.reads = 0, []
        for name in ('asnumpy', 'item', 'tolist', '__bool__', '__float__', '__int__'):
            monkeypatch.setattr(ms.Tensor, name, self._noting(getattr(ms.Tensor, name)))

    def _noting(self, read):
        def noting(tensor, *args):
            self.reads.append(self.iteration)
            return read(tensor, *args)

        return noting

    def before_train_iter(self, runner):
        self.iteration = runner.iter + 1


@pytest.mark.parametrize('scaler', [None, LossScaler(8.0)])
def test_the_device_is_read_at_log_lines_alone(monkeypatch, tmp_path, scaler):
    model = tiny_families.build('fcn')
    optimizer = build_optimizer(model, dict(type='SGD', lr=0.01, momentum=0.9))
    step = TrainStep(SegmentorWithLoss(model), optimizer, loss_scaler=scaler)
    runner = IterBasedRunner(step, model, Images(), tmp_path, get_logger(), max_iters=110)
    clock = Clock(monkeypatch)
    runner.register_hook(clock, 0)
    schedule, loggers = dict(policy='poly', by_epoch=False), [dict(type='TextLoggerHook')]
    settings = HookSettings(schedule, loggers=loggers, log_interval=50)
    register_hooks(runner, settings, None)
    runner.register_hook(StopSignalHook(StopSignals()), 80)
    runner.run()
    # the first iteration estimates the memory; the last one is checked
    assert {iteration for iteration in clock.reads if iteration > 1} == {50, 100, 110}
