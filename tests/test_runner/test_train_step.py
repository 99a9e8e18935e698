import itertools

import mindspore as ms
import numpy as np
import pytest

from msseg.checks.operators import list_operators
from msseg.runner import GradClip, TrainStep, build_optimizer
from msseg.runner.gradients import join
from msseg.runner.loss_scaler import LossScaler, build_loss_scaler
from msseg.utils.target import assume_target
from tests.test_runner.line_model import Line, LineLoss, Loader

SGD = {'type': 'SGD', 'lr': 0.1, 'momentum': 0.9, 'weight_decay': 0.1}


def make_step(optimizer=SGD, **options):
    model = Line()
    return TrainStep(LineLoss(model), build_optimizer(model, dict(optimizer)), **options)


def run(step, batches, *more):
    inputs = (ms.Tensor(batches.img), ms.Tensor(batches.gt), *more)
    values = [float(value.asnumpy()) for value in step(*inputs)]
    return dict(zip(step.value_names, values, strict=True))


def batches(count, poison_at=None):
    return list(itertools.islice(Loader(poison_at=poison_at).batches(), count))


def everything(step):
    """All that the optimizer changes: weights and its own state."""
    return {p.name: p.asnumpy().copy() for p in step.optimizer.get_parameters()}


def assert_close(actual, wanted, rtol=1e-5):
    for name, value in wanted.items():
        np.testing.assert_allclose(actual[name], value, rtol=rtol, atol=1e-6, err_msg=name)


@pytest.mark.parametrize('scaler', [1024.0, 'dynamic'])
def test_a_loss_scale_changes_nothing_that_is_learnt(scaler):
    plain, scaled = (
        make_step(grad_clip=GradClip(max_norm=0.05)),
        make_step(grad_clip=GradClip(max_norm=0.05), loss_scaler=build_loss_scaler(scaler)),
    )
    for batch in batches(10):
        expected, values = run(plain, batch), run(scaled, batch)
        assert values['loss'] == pytest.approx(expected['loss'], rel=1e-5)
        assert values['grad_norm'] == pytest.approx(expected['grad_norm'], rel=1e-5)
    assert values['loss_scale'] == (2.0**16 if scaler == 'dynamic' else 1024.0)
    assert_close(everything(scaled), everything(plain))


def test_overflow_skips_the_step_and_halves_the_scale_which_grows_again():
    step = make_step(loss_scaler=LossScaler(init_scale=8.0, growth_interval=2))
    first, poisoned, *others = batches(5, poison_at=1)
    run(step, first)
    before = everything(step)
    values = run(step, poisoned)
    assert (values['skipped'], values['loss_scale']) == (1.0, 8.0)
    after = everything(step)
    assert all(np.array_equal(after[name], before[name]) for name in before)
    scales = [run(step, batch)['loss_scale'] for batch in others]
    assert scales == [4.0, 4.0, 8.0]
    after = everything(step)
    assert all(not np.array_equal(after[p.name], before[p.name]) for p in step.optimizer.parameters)


@pytest.mark.parametrize('norm_type', [2.0, float('inf')])
def test_a_batch_that_is_no_number_is_left_out_when_asked(norm_type):
    step = make_step(grad_clip=GradClip(1.0, norm_type), skip_nonfinite=True)
    first, poisoned = batches(2, poison_at=1)
    assert run(step, first)['skipped'] == 0.0
    before = everything(step)
    values = run(step, poisoned)
    assert values['skipped'] == 1.0 and not np.isfinite(values['loss'])
    assert all(np.array_equal(value, before[name]) for name, value in everything(step).items())


@pytest.mark.parametrize(('chip', 'count'), [('ascend910', 1), ('ascend910b', 0)])
def test_where_overflow_saturates_the_status_register_is_cleared_and_read(chip, count):
    with assume_target('Ascend', chip):
        step = make_step(loss_scaler=LossScaler())
        batch = batches(1)[0]
        found = list_operators(step, ms.Tensor(batch.img), ms.Tensor(batch.gt))
    names = [operator.name for operator in found]
    assert names.count('NPUClearFloatStatusV2') == names.count('NPUGetFloatStatusV2') == count
    assert 'overflowed' not in {p.name for p in step.state_parameters()}


class Register(ms.nn.Cell):
    """The overflow that a card's register would tell, for each batch."""

    def __init__(self):
        super().__init__(auto_prefix=False)
        self.value = ms.Parameter(ms.Tensor(0.0), 'register', requires_grad=False)

    def clear(self, img):
        return img

    def happened(self, grads):
        return self.value * 1.0


@pytest.mark.parametrize('cumulative_iters', [1, 2])
def test_an_overflow_in_the_register_skips_the_update(monkeypatch, cumulative_iters):
    monkeypatch.setattr('msseg.runner.train_step.OverflowStatus', Register)
    with assume_target('Ascend', 'ascend910'):
        step = make_step(loss_scaler=LossScaler(8.0), cumulative_iters=cumulative_iters)
    first, second, third, fourth = batches(4)
    register = step.overflow.value
    before = everything(step)
    more = [[ms.Tensor(False)], [ms.Tensor(True)]] * 2 if cumulative_iters == 2 else [[]] * 4
    register.set_data(ms.Tensor(1.0))
    run(step, first, *more[0])
    if cumulative_iters == 2:  # the first of two batches overflowed
        register.set_data(ms.Tensor(0.0))
        values = run(step, second, *more[1])
        assert (values['skipped'], values['loss_scale']) == (1.0, 8.0)
    assert all(np.array_equal(value, before[name]) for name, value in everything(step).items())
    register.set_data(ms.Tensor(0.0))
    values = run(step, third, *more[2])
    values = run(step, fourth, *more[3])
    assert (values['skipped'], values['loss_scale']) == (0.0, 4.0)
    after = everything(step)
    assert all(not np.array_equal(after[p.name], before[p.name]) for p in step.optimizer.parameters)


@pytest.mark.parametrize(('count', 'largest'), [(1, False), (70, False), (1100, True)])
def test_few_scalars_at_a_time_are_joined(count, largest):
    numbers = np.random.default_rng(0).integers(-99, 99, count).astype(np.float32)
    joined = join(tuple(ms.Tensor(number) for number in numbers), largest)
    assert float(joined) == (numbers.max() if largest else numbers.sum())


@pytest.mark.parametrize('scaler', [None, 'dynamic'])
def test_four_batches_of_one_equal_one_of_four(scaler):
    many = make_step(
        cumulative_iters=4,
        grad_clip=GradClip(0.05),
        loss_scaler=scaler and build_loss_scaler(scaler),
    )
    one = make_step(grad_clip=GradClip(0.05))
    parts = batches(8)
    for start in (0, 4):
        group = parts[start : start + 4]
        joined = group[0]._replace(
            img=np.concatenate([part.img for part in group]),
            gt=np.concatenate([part.gt for part in group]),
        )
        expected = run(one, joined)
        before = everything(many)
        for number, part in enumerate(group):
            if number == 3:
                assert all(np.array_equal(v, before[k]) for k, v in everything(many).items())
            values = run(many, part, ms.Tensor(number == 3))
        assert values['grad_norm'] == pytest.approx(expected['grad_norm'], rel=1e-5)
        assert_close(everything(many), everything(one))
    assert all(not parameter.asnumpy().any() for parameter in many.accumulator.sums)


def test_an_overflow_in_one_of_the_batches_skips_their_update_alone():
    step = make_step(cumulative_iters=2, loss_scaler=LossScaler(init_scale=8.0))
    parts = batches(4, poison_at=0)
    before = everything(step)
    for number, part in enumerate(parts[:2]):
        values = run(step, part, ms.Tensor(number == 1))
    assert values['skipped'] == 1.0
    assert all(np.array_equal(value, before[name]) for name, value in everything(step).items())
    for number, part in enumerate(parts[2:]):
        values = run(step, part, ms.Tensor(number == 1))
    assert (values['skipped'], values['loss_scale']) == (0.0, 4.0)
    assert all(not np.array_equal(everything(step)[k.name], before[k.name])
               for k in step.optimizer.parameters)  # fmt: skip


def test_gradient_norm_is_reported_without_clipping():
    plain, clipped = make_step(), make_step(grad_clip=GradClip(1e6))
    batch = batches(1)[0]
    norm = run(plain, batch)['grad_norm']
    assert norm > 0 and norm == pytest.approx(run(clipped, batch)['grad_norm'], rel=1e-6)


def test_all_state_of_the_step_has_names_of_its_own():
    step = make_step(cumulative_iters=2, loss_scaler=LossScaler())
    names = [parameter.name for parameter in step.state_parameters()]
    assert len(set(names)) == len(names) == 3 + len(step.optimizer.parameters)
    assert {'loss_scale', 'accumulated_count', 'accumulated.dense.weight'} < set(names)


@pytest.mark.parametrize(
    ('loss_scale', 'message'),
    [
        ('dynamo', "loss_scale is 'dynamo', expected 'dynamic', or a number above 0"),
        (True, 'loss_scale is True'),
        (0, 'loss_scale is 0, expected .* a number above 0'),
        ({'mode': 'fast'}, "LossScaler: mode is 'fast'"),
        ({'growth_factor': 1.0}, 'growth_factor is 1.0, expected a number above 1'),
        ({'backoff_factor': 1.5}, 'backoff_factor is 1.5'),
        ({'growth_interval': 0}, 'growth_interval is 0'),
    ],
)
def test_wrong_loss_scales(loss_scale, message):
    with pytest.raises(ValueError, match=message):
        build_loss_scaler(loss_scale)


def test_wrong_accumulation():
    with pytest.raises(
        ValueError, match='cumulative_iters is 0, expected a whole number of at least 1'
    ):
        make_step(cumulative_iters=0)
