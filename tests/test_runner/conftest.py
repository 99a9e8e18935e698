import pytest

from msseg.runner import EpochBasedRunner, IterBasedRunner, TrainStep, build_optimizer
from msseg.utils.logging import get_logger
from tests.test_runner.line_model import Line, LineLoss, Loader

SGD = {'type': 'SGD', 'lr': 0.1, 'momentum': 0.9, 'weight_decay': 0.01}


@pytest.fixture
def make_runner(tmp_path):
    def make(max_iters=None, max_epochs=None, optimizer=SGD, loader=None, work_dir=tmp_path):
        model = Line()
        step = TrainStep(LineLoss(model), build_optimizer(model, dict(optimizer)))
        kind = IterBasedRunner if max_epochs is None else EpochBasedRunner
        return kind(
            step,
            model,
            loader or Loader(),
            work_dir,
            get_logger(),
            meta={'seed': 1},
            **({'max_iters': max_iters} if max_epochs is None else {'max_epochs': max_epochs}),
        )

    return make
