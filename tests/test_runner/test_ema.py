import numpy as np
import pytest

from msseg.runner import HOOKS
from msseg.runner.checkpoint import load_checkpoint
from msseg.runner.hooks import CheckpointHook, EMAHook, EvalHook, Hook

WEIGHTS = ('dense.weight', 'dense.bias', 'bn.gamma', 'bn.beta')


class History(Hook):
    """Keeps the weights of every iteration."""

    def before_run(self, runner):
        self.values = [values(runner)]

    def after_train_iter(self, runner):
        self.values.append(values(runner))


def values(runner):
    parameters = dict(runner.model.parameters_and_names())
    return {name: parameters[name].asnumpy().copy() for name in WEIGHTS}


def averages(hook):
    return {p.name.removeprefix('ema.'): p.asnumpy() for p in hook.parameters().values()}


def reference(history, momentum, interval, warm_up):
    """The average in float64, written down from its definition."""
    average = {name: value.astype(np.float64) for name, value in history[0].items()}
    for done, new in enumerate(history[1:]):
        if (done + 1) % interval:
            continue
        keep = min(1 - momentum, (1 + done) / (warm_up + done)) ** interval
        average = {name: keep * average[name] + (1 - keep) * new[name] for name in average}
    return average


@pytest.mark.parametrize(('momentum', 'interval', 'warm_up'), [(0.1, 1, 4), (0.3, 2, 1)])
def test_average_is_that_of_the_weights(make_runner, momentum, interval, warm_up):
    runner, history = make_runner(max_iters=7), History()
    hook = EMAHook(momentum, interval, warm_up)
    runner.register_hook(history)
    runner.register_hook(hook)
    runner.run()
    for name, value in reference(history.values, momentum, interval, warm_up).items():
        np.testing.assert_allclose(averages(hook)[name], value, rtol=1e-5, err_msg=name)
        assert not np.array_equal(averages(hook)[name], history.values[-1][name])


def test_average_is_evaluated_and_saved_beside_the_raw_weights(make_runner, tmp_path):
    runner, evaluated = make_runner(max_iters=4), []
    hook = EMAHook(0.1)

    def evaluate():
        evaluated.append(values(runner))
        return {'score': 1.0}

    runner.register_hook(hook)
    runner.register_hook(EvalHook(evaluate, ['score'], interval=4, by_epoch=False), 'LOW')
    runner.register_hook(CheckpointHook(by_epoch=False), 'VERY_LOW')
    runner.run()
    checkpoint = load_checkpoint(tmp_path / 'iter_4.ckpt')
    tested = checkpoint.as_evaluated()
    for name, raw in values(runner).items():
        np.testing.assert_array_equal(checkpoint.weights[name], raw)
        np.testing.assert_array_equal(tested.weights[name], evaluated[0][name])
        np.testing.assert_array_equal(tested.weights[name], averages(hook)[name])
    assert set(tested.weights) == set(checkpoint.weights)


def test_weights_come_back_when_the_evaluation_fails(make_runner):
    runner = make_runner(max_iters=1)
    runner.register_hook(EMAHook(0.1))
    runner.run()
    before = values(runner)
    with pytest.raises(RuntimeError, match='broken'), runner.for_evaluation():
        raise RuntimeError('broken')
    assert all(np.array_equal(before[name], value) for name, value in values(runner).items())


def test_average_goes_on_where_it_stood(make_runner, tmp_path):
    straight, hook = make_runner(max_iters=6), EMAHook(0.1)
    straight.register_hook(hook)
    straight.run()
    first = make_runner(max_iters=3)
    first.register_hook(EMAHook(0.1))
    first.run()
    first.save(tmp_path / 'a.ckpt')
    second, resumed = make_runner(max_iters=6), EMAHook(0.1)
    second.register_hook(resumed)
    second.resume(tmp_path / 'a.ckpt')
    second.run()
    for name, value in averages(hook).items():
        np.testing.assert_array_equal(averages(resumed)[name], value, err_msg=name)


def test_a_second_average_is_refused_instead_of_taking_the_firsts_place_in_checkpoints(make_runner):
    runner = make_runner(max_iters=1)
    runner.register_hook(EMAHook())
    with pytest.raises(ValueError, match="EMAHook: EMAHook keeps tensors .*'ema.dense.weight'"):
        runner.register_hook(EMAHook(0.1))
    assert len(runner.hooks) == 1


def test_run_without_average_cannot_be_resumed_with_one(make_runner, tmp_path):
    make_runner(max_iters=3).save(tmp_path / 'a.ckpt')
    runner = make_runner(max_iters=3)
    runner.register_hook(EMAHook())
    with pytest.raises(ValueError, match=r"cannot be resumed: its 'ema\.dense\.weight' is none"):
        runner.resume(tmp_path / 'a.ckpt')


@pytest.mark.parametrize(
    'arguments', [{'momentum': 0}, {'momentum': 1.0}, {'interval': 0}, {'warm_up': 0}]
)
def test_wrong_arguments(arguments):
    with pytest.raises(ValueError, match=f'EMAHook: {next(iter(arguments))} is'):
        HOOKS.build({'type': 'EMAHook', **arguments})
