"""When a run ends because its scores no longer rise, and what is kept of it."""

import math

import pytest

from msseg.runner.checkpoint import load_checkpoint
from msseg.runner.hooks import CheckpointHook, EarlyStoppingHook, EvalHook
from msseg.runner.hooks.evaluation import ScoreRule

NAN = math.nan


@pytest.fixture
def make_scored(make_runner):
    """A runner whose evaluations, one an iteration, give the scores of a list."""

    def make(scores, max_iters=20, **arguments):
        runner = make_runner(max_iters=max_iters)

        def evaluate():
            return {'mIoU': scores[runner.iter - 1], 'loss': -scores[runner.iter - 1]}

        runner.register_hook(EarlyStoppingHook(**arguments))
        hook = EvalHook(evaluate, ['mIoU', 'loss'], by_epoch=False, save_best='mIoU')
        runner.register_hook(hook, 'LOW')
        runner.register_hook(CheckpointHook(by_epoch=False), 'VERY_LOW')
        return runner

    return make


RISING = [0.1, 0.2, 0.3, 0.3, 0.2, 0.31, 0.31, 0.29, 0.3, 0.5]


@pytest.mark.parametrize(
    ('scores', 'arguments', 'ends_after'),
    [
        (RISING, {'patience': 3}, 9),  # equal scores are no gain
        (RISING, {'patience': 2}, 5),
        (RISING, {'patience': 3, 'min_delta': 0.05}, 6),
        (RISING, {'patience': 3, 'monitor': 'loss'}, 9),  # less is better for a loss
        (RISING, {'patience': 3, 'rule': 'less'}, 4),
        ([NAN, NAN, 0.1, NAN, NAN, NAN], {'patience': 3}, 6),
    ],
)
def test_a_run_ends_when_patience_has_run_out(make_scored, caplog, scores, arguments, ends_after):
    caplog.set_level('INFO', logger='msseg')
    runner = make_scored(scores, **arguments)
    runner.run()
    assert runner.iter == ends_after
    assert f'stopped after iteration {ends_after}: ' in caplog.text
    assert 'has not become better than' in caplog.text


def test_the_last_state_and_the_best_one_are_saved(make_scored, tmp_path):
    make_scored(RISING, patience=3).run()
    names = sorted(path.name for path in tmp_path.glob('*.ckpt'))
    assert names == ['best_mIoU_iter_6.ckpt', 'iter_9.ckpt']
    counts = {'monitor': 'mIoU', 'best': 0.31, 'num_without_gain': 0}
    best = load_checkpoint(tmp_path / 'best_mIoU_iter_6.ckpt')
    assert best.meta['hooks']['EarlyStoppingHook'] == counts
    last = load_checkpoint(tmp_path / 'iter_9.ckpt')
    assert last.meta['hooks']['EarlyStoppingHook'] == {**counts, 'num_without_gain': 3}


def test_two_of_them_each_go_on_where_they_were(make_scored, tmp_path):
    def make(max_iters):
        runner = make_scored(RISING, max_iters=max_iters, patience=3)
        runner.register_hook(EarlyStoppingHook(patience=9, monitor='loss', rule='greater'))
        return runner

    make(7).run()
    resumed = make(20)
    resumed.resume(tmp_path / 'iter_7.ckpt')
    first, second = (h for h in resumed.hooks if isinstance(h, EarlyStoppingHook))
    assert (first.monitor, first.num_without_gain) == ('mIoU', 1)
    assert (second.monitor, second.num_without_gain) == ('loss', 6)


def test_patience_goes_on_where_it_was_after_a_restart(make_scored, tmp_path, caplog):
    caplog.set_level('INFO', logger='msseg')
    make_scored(RISING, max_iters=7, patience=3).run()
    resumed = make_scored(RISING, patience=3)
    resumed.resume(tmp_path / 'iter_7.ckpt')
    resumed.run()
    assert resumed.iter == 9

    again = make_scored(RISING, patience=3)
    again.resume(tmp_path / 'iter_9.ckpt')
    again.run()
    assert again.iter == 9  # a run that had ended does not go on by being started again

    patient = make_scored(RISING, max_iters=10, patience=4)
    patient.resume(tmp_path / 'iter_9.ckpt')
    patient.run()
    assert (patient.iter, patient.stop_reason) == (10, None)

    other = make_scored(RISING, max_iters=10, patience=1, monitor='loss')
    other.resume(tmp_path / 'iter_9.ckpt')
    other.run()
    assert other.stop_reason is None  # what was counted for another score does not count


def test_a_score_that_will_not_be_known_is_refused_before_training(make_scored, make_runner):
    with pytest.raises(KeyError, match="monitor is 'mIuO'.*Did you mean 'mIoU'"):
        make_scored(RISING, monitor='mIuO').run()
    runner = make_runner(max_iters=1)
    runner.register_hook(EarlyStoppingHook())
    with pytest.raises(ValueError, match='evaluates nothing.*--no-validate'):
        runner.run()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'patience': 0}, 'patience is 0, expected a whole number of at least 1'),
        ({'min_delta': -0.1}, r'min_delta is -0\.1, expected a number of at least 0'),
        ({'rule': 'higher'}, "EarlyStoppingHook: rule is 'higher', expected one of .'greater'"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        EarlyStoppingHook(**arguments)


def test_nan_is_never_better_and_anything_else_beats_nothing():
    rule = ScoreRule('mIoU')
    assert not rule.is_better(NAN, None)
    assert rule.is_better(0.0, None)
    assert ScoreRule('val_Loss').is_better(0.1, 0.2)
    assert not ScoreRule('val_Loss', 'greater').is_better(0.1, 0.2)
