"""Signals and workers that fail, at every stage of a run."""

import os
import signal
import time

import numpy as np
import pytest

from msseg.runner.checkpoint import load_checkpoint
from tests.small_run import LONG, PAUSE, WORKERS, assert_left_nothing, trap


def weights_of(run, name):
    return load_checkpoint(run.work_dir / name).weights


@pytest.mark.parametrize(
    ('number', 'status', 'more'),
    [
        (signal.SIGTERM, 143, ''),
        (signal.SIGINT, 130, WORKERS),
        (signal.SIGUSR1, 138, ''),
        (signal.SIGUSR1, 138, WORKERS),
    ],
)
def test_signal_to_the_whole_job_saves(make_run, number, status, more):
    run = make_run(LONG + PAUSE.format(0.05) + more)
    process = run.start()
    run.wait_for(lambda: len(run.done) > 3, process)
    os.killpg(process.pid, number)
    assert process.wait(60) == status, run.output
    assert run.checkpoints() == [f'iter_{run.done[-1]}.ckpt']
    assert_left_nothing(run)


def test_stopped_run_has_the_bits_of_a_straight_one(make_run):
    run = make_run(
        PAUSE.format(0.05) + 'runner["max_iters"] = 60\ncheckpoint_config["interval"] = 60\n'
    )
    process = run.start()
    run.wait_for(lambda: len(run.done) > 3, process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert run.train('--auto-resume') == 0
    stopped = weights_of(run, 'iter_60.ckpt')
    assert run.done == list(range(1, 61))
    (run.work_dir / 'done').unlink()
    assert run.train() == 0
    assert run.done == list(range(1, 61))
    for name, value in weights_of(run, 'iter_60.ckpt').items():
        np.testing.assert_array_equal(value, stopped[name])


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT], ids=['SIGTERM', 'Ctrl-C'])
def test_signal_before_the_first_iteration_is_over_is_not_lost(make_run, number):
    """The graph is compiled then, in which Python does not run."""
    run = make_run(LONG + PAUSE.format(0))
    process = run.start()
    run.wait_for(lambda: 'training starts from random weights' in run.output, process)
    time.sleep(0.2)
    process.send_signal(number)
    status = process.wait(120)
    assert status == 128 + number or run.done == [], run.output
    if run.done:
        assert run.checkpoints() == [f'iter_{run.done[-1]}.ckpt']
        assert len(run.done) <= 3
    assert_left_nothing(run)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT], ids=['SIGTERM', 'Ctrl-C'])
def test_signal_before_there_is_anything_to_save_ends_the_process(make_run, number):
    run = make_run(LONG)
    process = run.start()
    run.wait_for(lambda: 'msseg - INFO' in run.output, process)
    process.send_signal(number)
    assert process.wait(60) in (-number, 128 + number)
    assert run.checkpoints() == []


def test_interrupted_evaluation_is_done_first_when_the_run_goes_on(make_run, tmp_path):
    run = make_run(
        'runner["max_iters"] = 4\ncheckpoint_config["interval"] = 100\n'
        'evaluation = dict(interval=2, by_epoch=False, save_best="mIoU")\n'
        + trap(tmp_path, 'val', 'slow'),
        images=30,
    )
    assert run.train() == 0, run.output
    expected = scores(run)
    assert len(expected) == 2
    run.work_dir = tmp_path / 'second'
    process = run.start()
    run.wait_for(lambda: 'Iter [2/4]' in run.output, process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143, run.output
    assert 'evaluation interrupted' in run.output and scores(run) == []
    assert run.checkpoints() == ['iter_2.ckpt']
    assert run.train('--auto-resume') == 0
    assert scores(run) == expected
    assert 'best_mIoU_iter_4.ckpt' in run.checkpoints() or 'best_mIoU_iter_2.ckpt' in (
        run.checkpoints()
    )
    assert_left_nothing(run)


@pytest.mark.parametrize('more', ['', WORKERS], ids=['loading here', 'in workers'])
def test_evaluation_whose_loading_hangs_is_interrupted_by_a_signal(make_run, tmp_path, more):
    run = make_run(
        'runner["max_iters"] = 4\ncheckpoint_config["interval"] = 100\n'
        'evaluation = dict(interval=2, by_epoch=False)\n' + more + trap(tmp_path, 'val', 'hang')
    )
    process = run.start()
    run.wait_for(lambda: 'Iter [2/4]' in run.output, process)
    time.sleep(3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143, run.output
    assert 'evaluation interrupted' in run.output and run.checkpoints() == ['iter_2.ckpt']
    (tmp_path / 'armed').unlink()
    assert run.train('--auto-resume') == 0
    assert len(scores(run)) == 2
    assert_left_nothing(run)


def scores(run):
    return [line.split('\t')[1] for line in run.output.splitlines() if 'Iter(val)' in line]


def test_worker_that_hangs_in_evaluation_ends_the_run_with_its_sample(make_run, tmp_path):
    run = make_run(
        WORKERS
        + 'data["worker_timeout"] = 5\nevaluation = dict(interval=2, by_epoch=False)\n'
        + trap(tmp_path, 'val', 'hang')
    )
    assert run.train() == 1, run.output
    assert 'images/disc_3.png' in run.error and 'busy for' in run.error
    assert_left_nothing(run)


def test_worker_that_hangs_ends_the_run_within_a_minute_as_it_is_set(make_run, tmp_path):
    run = make_run(WORKERS + trap(tmp_path, 'train', 'hang'))
    process = run.start()
    run.wait_for(lambda: 'training starts from random weights' in run.output, process)
    started = time.monotonic()
    assert process.wait(120) == 1, run.output
    assert 45 < time.monotonic() - started < 60 + 10  # loading began some time after the line
    assert 'images/disc_3.png' in run.error
    assert_left_nothing(run)


@pytest.mark.parametrize(
    ('split', 'deed'),
    [('val', signal.SIGKILL), ('train', signal.SIGSEGV), ('val', signal.SIGSEGV)],
)
def test_worker_that_dies_ends_the_run_with_its_sample(make_run, tmp_path, split, deed):
    run = make_run(
        WORKERS
        + 'evaluation = dict(interval=2, by_epoch=False)\n'
        + trap(tmp_path, split, int(deed))
    )
    assert run.train() == 1, run.output
    assert f'was killed by {deed.name} while it loaded' in run.error
    assert 'images/disc_3.png' in run.error
    assert_left_nothing(run)
