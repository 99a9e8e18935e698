"""What a user sees of a run: when it compiles, how long it still takes, and what is left to do."""

import logging
import time

import pytest

from msseg.runner.hooks import IterTimerHook, LoggerHook, ProgressHook, TextLoggerHook
from tests.test_runner.line_model import Loader


class Clock:
    """Seconds that pass only where a test says so."""

    now = 0.0

    def __call__(self):
        return self.now


class SlowLoader(Loader):
    """The first batch, which stands for compilation, takes 60 s; the others 2 s."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock

    def batches(self, start_iter=0):
        for number, batch in enumerate(super().batches(start_iter)):
            self.clock.now += 2.0 if number else 60.0
            yield batch


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(time, 'perf_counter', clock)
    return clock


@pytest.mark.parametrize('start', [0, 20], ids=['a new run', 'a resumed run'])
def test_remaining_time_leaves_out_the_iteration_that_compiles(make_runner, caplog, clock, start):
    caplog.set_level(logging.INFO)
    runner = make_runner(max_iters=start + 10, loader=SlowLoader(clock))
    runner.iter = start
    runner.register_hook(IterTimerHook(), 'ABOVE_NORMAL')
    runner.register_hook(TextLoggerHook(interval=1, by_epoch=False), 'BELOW_NORMAL')
    runner.run()
    etas = [m.split('eta: ')[1].split(',')[0] for m in caplog.messages if 'eta: ' in m]
    assert etas == ['n/a', *(f'0:00:{2 * left:02d}' for left in range(8, -1, -1))]


def test_first_interval_is_not_extrapolated(make_runner, caplog, clock):
    caplog.set_level(logging.INFO)
    runner = make_runner(max_iters=100, loader=SlowLoader(clock))
    runner.register_hook(IterTimerHook(), 'ABOVE_NORMAL')
    runner.register_hook(TextLoggerHook(interval=50, by_epoch=False), 'BELOW_NORMAL')
    runner.run()
    first = next(m for m in caplog.messages if m.startswith('Iter [50/100]'))
    assert 'eta: 0:01:40' in first  # 50 iterations of 2 s
    assert 'time: 3.160' in first  # (60 + 49 * 2) / 50: the log still tells what was measured


class Line(LoggerHook):
    def __init__(self, seen):
        super().__init__(1, by_epoch=False)
        self.seen = seen

    def log(self, runner, mode, values):
        self.seen.append((runner.iter, mode))


def test_compilation_is_announced_once_and_before_the_first_step(make_runner, caplog):
    caplog.set_level(logging.INFO)
    runner = make_runner(max_iters=3)
    announced = []

    def step(*inputs):
        announced.append([m for m in caplog.messages if m.startswith('Compiling the network')])
        return train_step(*inputs)

    train_step, runner.train_step = runner.train_step, step
    step.set_train, step.cumulative_iters = train_step.set_train, 1
    step.value_names = train_step.value_names
    runner.register_hook(ProgressHook())
    runner.run()
    assert [len(lines) for lines in announced] == [1, 1, 1]
    assert 'the first step takes about a minute' in announced[0][0]


def resumed(make_runner, path, caplog, **options):
    caplog.clear()
    runner = make_runner(**options)
    runner.resume(path)
    return runner, [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


def test_resuming_a_finished_run_tells_how_to_train_longer(make_runner, tmp_path, caplog):
    runner = make_runner(max_iters=4)
    runner.iter = 4
    runner.save(tmp_path / 'iter_4.ckpt')
    again, told = resumed(make_runner, tmp_path / 'iter_4.ckpt', caplog, max_iters=4)
    assert told == ['iteration 4 of 4 is done already: raise runner.max_iters to train longer']
    again.run()
    assert again.iter == 4
    _, told = resumed(make_runner, tmp_path / 'iter_4.ckpt', caplog, max_iters=3)
    assert told == [
        'iteration 4 is done already, and runner.max_iters is 3: raise runner.max_iters to train '
        'longer'
    ]
    _, told = resumed(make_runner, tmp_path / 'iter_4.ckpt', caplog, max_epochs=1)
    assert told == ['epoch 1 of 1 is done already: raise runner.max_epochs to train longer']
    _, told = resumed(make_runner, tmp_path / 'iter_4.ckpt', caplog, max_iters=5)
    assert told == []


@pytest.mark.parametrize('is_old', [False, True], ids=['', 'checkpoint without iters_per_epoch'])
@pytest.mark.parametrize(
    ('iters_now', 'resumed_at'), [(2, 4), (6, 12), (4, 9)], ids=['larger batch', 'smaller', 'same']
)
def test_epochs_go_on_where_they_were_with_another_number_of_iterations(
    make_runner, tmp_path, caplog, iters_now, resumed_at, is_old
):
    before = make_runner(max_epochs=3)  # of 4 iterations
    before.iter = 9
    if is_old:
        state = before.state
        before.state = lambda: {k: v for k, v in state().items() if k != 'iters_per_epoch'}
    before.save(tmp_path / 'iter_9.ckpt')
    loader = Loader(iters_per_epoch=iters_now)
    after, told = resumed(
        make_runner, tmp_path / 'iter_9.ckpt', caplog, max_epochs=3, loader=loader
    )
    assert (after.iter, after.epoch) == (resumed_at, 2)
    if iters_now == 4:
        assert told == []
    else:
        assert len(told) == 1
        assert f'iterations per epoch have changed to {iters_now} ' in told[0]
        assert f'is iteration {resumed_at} here' in told[0] and 'with epoch 3' in told[0]
    after.run()
    assert after.epoch == 3


def test_iterations_mean_the_same_whatever_an_epoch_is(make_runner, tmp_path, caplog):
    before = make_runner(max_iters=9)
    before.iter = 8
    before.save(tmp_path / 'iter_8.ckpt')
    after, told = resumed(
        make_runner, tmp_path / 'iter_8.ckpt', caplog, max_iters=9, loader=Loader(2)
    )
    assert (after.iter, told) == (8, [])
