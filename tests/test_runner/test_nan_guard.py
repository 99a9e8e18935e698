"""What is said and kept when the loss or a gradient is not a number."""

import json
import logging
from types import SimpleNamespace

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.runner import IterBasedRunner, TrainStep, build_optimizer
from msseg.runner.hooks import CheckpointHook, EvalHook, NaNGuardHook, TextLoggerHook
from msseg.runner.hooks.nan_guard import count_labels, describe_image
from msseg.utils.logging import get_logger
from tests.test_runner.line_model import Batch, LineLoss, Loader

SGD = {'type': 'SGD', 'lr': 0.1, 'momentum': 0.9}


class Normalised(nn.Cell):
    """A line behind a batch norm, whose running statistics see every batch."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        weight = np.arange(6, dtype=np.float32).reshape(2, 3)
        self.dense = nn.Dense(3, 2, weight_init=ms.Tensor(weight), bias_init='zeros')

    def construct(self, x):
        return self.dense(self.norm(x))


def runner_with(guard, work_dir, loader, max_iters=4):
    model = Normalised()
    step = TrainStep(
        LineLoss(model),
        build_optimizer(model, dict(SGD)),
        skip_nonfinite=guard.policy == 'skip',
    )
    runner = IterBasedRunner(step, model, loader, work_dir, get_logger(), max_iters=max_iters)
    runner.register_hook(guard, 'HIGH')
    return runner


def test_a_bad_batch_is_left_out_and_training_goes_on(tmp_path, caplog):
    guard = NaNGuardHook(policy='skip')
    runner = runner_with(guard, tmp_path, Loader(poison_at=1))
    runner.run()
    assert runner.iter == 4
    assert guard.state() == {'consecutive': 0, 'num_skipped': 1}
    report = json.loads((tmp_path / 'nonfinite_iter_2.json').read_text())
    assert report['update_skipped'] is True
    assert report['policy'] == 'skip'
    assert report['losses'] == {'line.loss_mean': 'nan', 'loss': 'nan'}
    assert report['grad_norm'] == 'nan'
    assert report['lr'] == pytest.approx([0.1])
    assert report['samples'][0]['file'] == 'image_1_0.png'
    assert report['samples'][0]['image']['num_nonfinite'] == 1
    assert report['samples'][1]['image']['num_nonfinite'] == 0
    assert '1 NOT FINITE' in caplog.text
    assert 'image_1_4.png' in caplog.text

    # Everything is as if the batch had not been there, the running statistics too.
    without = runner_with(NaNGuardHook(), tmp_path, Without(1), max_iters=3)
    without.run()
    for name, value in state_of(without).items():
        np.testing.assert_array_equal(state_of(runner)[name], value, err_msg=name)


class Without(Loader):
    """A loader's batches but one."""

    def __init__(self, left_out):
        super().__init__()
        self.left_out = left_out

    def batches(self, start_iter=0):
        for iteration, batch in enumerate(super().batches(start_iter)):
            if iteration != self.left_out:
                yield batch


def state_of(runner):
    cells = (runner.model, runner.optimizer)
    return {p.name: p.asnumpy() for cell in cells for p in cell.get_parameters()}


def test_a_bad_step_between_looks_is_found_and_never_saved(tmp_path):
    runner = runner_with(NaNGuardHook(interval=10), tmp_path, Loader(poison_at=1), max_iters=9)
    runner.register_hook(CheckpointHook(interval=3, by_epoch=False), 'VERY_LOW')
    with pytest.raises(FloatingPointError, match=r'loss is nan in iteration 2 .*image_1_0\.png'):
        runner.run()
    assert runner.iter == 3
    assert not list(tmp_path.glob('*.ckpt'))
    assert (tmp_path / 'nonfinite_iter_2.json').is_file()


def test_the_last_iterations_are_looked_at_too(tmp_path):
    runner = runner_with(NaNGuardHook(interval=10), tmp_path, Loader(poison_at=2))
    with pytest.raises(FloatingPointError, match='loss is nan in iteration 3'):
        runner.run()


class Reads:
    """A value on the device that notes when it is read."""

    def __init__(self, number, reads):
        self.number, self.reads = number, reads

    def asnumpy(self):
        self.reads.append(self.number)
        return np.float32(1.0)


def test_by_default_nothing_is_read_before_a_log_line_or_a_checkpoint(tmp_path):
    steps, reads = Steps(NaNGuardHook(), tmp_path), []
    for number in range(1, 5):
        steps.show_outputs({'loss': Reads(number, reads), 'grad_norm': Reads(number, reads)})
    assert reads == []
    steps.guard.before_save(steps.runner)
    assert reads == [1, 1, 2, 2, 3, 3, 4, 4]


class Reloading(Loader):
    """A loader that can load a batch of an earlier iteration again."""

    def __init__(self, poison_at):
        super().__init__(poison_at=poison_at)
        self.loaded = []

    def load(self, iteration):
        self.loaded.append(iteration)
        batch = next(self.batches(iteration))
        return batch.img, batch.gt


def test_the_batch_of_an_earlier_step_is_loaded_again_for_the_report(tmp_path):
    loader = Reloading(poison_at=1)
    runner = runner_with(NaNGuardHook(), tmp_path, loader)
    with pytest.raises(FloatingPointError, match=r'loss is nan in iteration 2 .*image_1_0\.png'):
        runner.run()
    report = json.loads((tmp_path / 'nonfinite_iter_2.json').read_text())
    assert loader.loaded == [1]
    assert report['samples'][0]['image']['num_nonfinite'] == 1


@pytest.mark.parametrize('hook', ['logger', 'evaluation'])
def test_nothing_is_logged_or_evaluated_of_a_bad_step(tmp_path, hook):
    runner, seen = runner_with(NaNGuardHook(), tmp_path, Loader(poison_at=1)), []
    if hook == 'logger':
        logger = TextLoggerHook(interval=2, by_epoch=False)
        logger.log = lambda *values: seen.append(values)
        runner.register_hook(logger)
    else:
        hook = EvalHook(lambda: seen.append(runner.iter), ['mIoU'], interval=2, by_epoch=False)
        runner.register_hook(hook)
    with pytest.raises(FloatingPointError, match='iteration 2'):
        runner.run()
    assert (runner.iter, seen) == (2, [])


def test_skipping_needs_a_step_that_can(tmp_path):
    runner = runner_with(NaNGuardHook(), tmp_path, Loader())
    runner.register_hook(NaNGuardHook(policy='skip'))
    with pytest.raises(ValueError, match='needs a step that leaves updates out'):
        runner.run()


# ------------------------------------------------ steps as the runner would report them


class Steps:
    """A runner's face to the guard, to which steps are shown."""

    def __init__(self, guard, work_dir, cumulative_iters=1):
        self.guard = guard
        self.runner = SimpleNamespace(
            iter=0,
            rank=0,
            world_size=1,
            max_iters=1000,
            stop_reason=None,
            work_dir=work_dir,
            logger=get_logger(),
            meta={'CLASSES': ['road', 'car'], 'ignore_index': 255},
            train_step=SimpleNamespace(cumulative_iters=cumulative_iters),
            model=nn.Cell(),
            lrs=[0.01, 0.1],
            is_logging=lambda: False,
            loader=None,
        )

    def show(self, loss=1.0, grad_norm=1.0, **more):
        values = {'loss': loss, 'grad_norm': grad_norm, **more}
        self.show_outputs({name: ms.Tensor(value, ms.float32) for name, value in values.items()})

    def show_outputs(self, outputs):
        runner = self.runner
        runner.iter += 1
        runner.outputs = outputs
        gt = np.array([[[0, 0, 1], [255, 255, 7]]])
        runner.data_batch = Batch(np.ones((1, 3, 2, 3)), gt, [4], [f'{runner.iter}.png'])
        self.guard.after_train_iter(runner)


INF = float('inf')


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'loss': INF}, r'the loss is inf in iteration 2 \(learning rate 0.1\).*2\.png'),
        ({'grad_norm': float('nan')}, r'the gradient norm is nan in iteration 2.*2\.png'),
    ],
)
def test_loss_and_gradient_are_looked_at(tmp_path, values, message):
    steps = Steps(NaNGuardHook(interval=1), tmp_path)
    steps.show()
    with pytest.raises(FloatingPointError, match=message):
        steps.show(**values)
    report = json.loads((tmp_path / 'nonfinite_iter_2.json').read_text())
    labels = {'road': 2, 'car': 1, '(ignored)': 2, '(no class: 7)': 1}
    image = {'min': 1.0, 'max': 1.0, 'mean': 1.0, 'num_nonfinite': 0}
    assert report['samples'] == [{'file': '2.png', 'index': 4, 'image': image, 'labels': labels}]


def test_an_overflow_under_a_loss_scale_is_counted_and_no_more(tmp_path, caplog):
    caplog.set_level(logging.INFO, 'msseg')
    guard = NaNGuardHook(interval=1, max_consecutive=2)
    steps = Steps(guard, tmp_path)
    for _ in range(3):
        steps.show(grad_norm=INF, skipped=1.0, loss_scale=8.0)
        steps.show(grad_norm=INF, skipped=1.0, loss_scale=4.0)
        steps.show(skipped=0.0, loss_scale=2.0)
    assert guard.state() == {'consecutive': 0, 'num_skipped': 6}
    assert 'overflow with loss scale 4 in iteration 8: the update is left out, 6 so far' in (
        caplog.text
    )
    assert not list(tmp_path.iterdir())
    steps.show(grad_norm=INF, skipped=1.0, loss_scale=2.0)
    steps.show(grad_norm=INF, skipped=1.0, loss_scale=1.0)
    with pytest.raises(FloatingPointError, match=r'3 updates in a row.*loss scale 0\.5 in iter'):
        steps.show(grad_norm=INF, skipped=1.0, loss_scale=0.5)
    assert (tmp_path / 'nonfinite_iter_12.json').is_file()


def test_a_bad_loss_under_a_loss_scale_stops(tmp_path):
    steps = Steps(NaNGuardHook(interval=1), tmp_path)
    with pytest.raises(FloatingPointError, match='the loss is inf'):
        steps.show(loss=INF, grad_norm=INF, skipped=1.0, loss_scale=8.0)


def test_too_many_bad_batches_in_a_row_stop(tmp_path):
    guard = NaNGuardHook(policy='skip', max_consecutive=2)
    steps = Steps(guard, tmp_path)
    bad = {'loss': INF, 'grad_norm': INF, 'skipped': 1.0}
    for _ in range(2):
        steps.show(**bad)
    # Its counts survive a restart.
    resumed = NaNGuardHook(policy='skip', max_consecutive=2)
    resumed.load_state(json.loads(json.dumps(guard.state())))
    steps.guard = resumed
    with pytest.raises(FloatingPointError, match='3 updates in a row were left out: the loss is'):
        steps.show(**bad)


def test_accumulated_gradients_are_reported_once_and_name_the_culprit(tmp_path):
    guard = NaNGuardHook(policy='skip')
    steps = Steps(guard, tmp_path, cumulative_iters=4)
    steps.show(skipped=0.0)
    steps.show(loss=INF, grad_norm=INF, skipped=0.0)
    steps.show(grad_norm=INF, skipped=0.0)
    assert guard.state() == {}
    steps.show(grad_norm=INF, skipped=1.0)
    assert guard.state() == {'consecutive': 1, 'num_skipped': 1}
    steps.show(skipped=0.0)
    assert guard.consecutive == 1
    for _ in range(3):
        steps.show(skipped=0.0)
    assert guard.consecutive == 0
    assert [path.name for path in tmp_path.iterdir()] == ['nonfinite_iter_2.json']


def test_a_report_that_cannot_be_written_is_in_the_log(tmp_path, caplog):
    steps = Steps(NaNGuardHook(interval=1), tmp_path / 'absent')
    with pytest.raises(FloatingPointError, match='the loss is inf'):
        steps.show(loss=INF)
    assert 'cannot be written' in caplog.text
    assert 'labels: road 33.33 %, car 16.67 %, (no class: 7) 16.67 %, (ignored) 33.33 %' in (
        caplog.text
    )


def test_other_devices_are_told_apart(tmp_path):
    steps = Steps(NaNGuardHook(interval=1), tmp_path)
    steps.runner.rank, steps.runner.world_size = 3, 4
    with pytest.raises(FloatingPointError, match='gradient norm over all devices is inf'):
        steps.show(grad_norm=INF)
    assert (tmp_path / 'nonfinite_iter_1_rank_3.json').is_file()


def test_an_image_without_a_finite_value_is_described():
    assert describe_image(np.full((3, 2, 2), np.nan)) == {
        'min': None, 'max': None, 'mean': None, 'num_nonfinite': 12
    }  # fmt: skip
    assert count_labels(np.array([[3]]), (), None) == {'(no class: 3)': 1}


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'interval': 0}, 'interval is 0, expected a whole number of at least 1'),
        ({'max_consecutive': 1.5}, r'max_consecutive is 1\.5'),
        ({'policy': 'skipp'}, "policy is 'skipp'.*Did you mean 'skip'"),
        ({'policy': 'skip', 'interval': 2}, "interval is 2, expected 1 with policy='skip'"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        NaNGuardHook(**arguments)
