"""Runs that are asked to end, and runs whose workers die or hang: what is said, saved and kept.

More of them are in `endurance/test_stopping.py`.
"""

import os
import signal
import time

import pytest

from tests.small_run import LONG, PAUSE, WORKERS, assert_left_nothing, trap


@pytest.mark.parametrize(
    ('number', 'status', 'more'),
    [(signal.SIGTERM, 143, WORKERS), (signal.SIGINT, 130, '')],
    ids=['SIGTERM', 'Ctrl-C'],
)
def test_signal_to_the_whole_job_saves_and_auto_resume_goes_on(make_run, number, status, more):
    run = make_run(LONG + PAUSE.format(0.05) + more)
    process = run.start()
    run.wait_for(lambda: len(run.done) > 3, process)
    os.killpg(process.pid, number)
    assert process.wait(60) == status, run.output
    stopped_at = run.done[-1]
    assert run.checkpoints() == [f'iter_{stopped_at}.ckpt']
    assert f'{number.name}: ending soon, at once with a second one' in run.output
    assert f'stopped after iteration {stopped_at}: {number.name}' in run.output
    assert_left_nothing(run)
    more = ['--cfg-options', f'runner.max_iters={stopped_at + 3}']
    assert run.train('--auto-resume', *more) == 0
    assert f'iter_{stopped_at}.ckpt at iteration {stopped_at}' in run.output
    assert run.done[-4:] == [stopped_at + i for i in range(4)]


def test_second_signal_stops_at_once(make_run):
    run = make_run(LONG + PAUSE.format(60))
    process = run.start()
    run.wait_for(lambda: run.done, process)
    process.send_signal(signal.SIGTERM)
    run.wait_for(lambda: 'ending soon' in run.output, process)
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == -signal.SIGTERM
    assert time.monotonic() - started < 10
    assert run.checkpoints() == []


def test_signal_while_loading_hangs_saves_what_is_done(make_run, tmp_path):
    run = make_run(LONG + PAUSE.format(0) + trap(tmp_path, 'train', 'hang'))
    (tmp_path / 'armed').unlink()
    process = run.start()
    run.wait_for(lambda: len(run.done) > 3, process)
    (tmp_path / 'armed').touch()
    time.sleep(1)
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143, run.output
    assert time.monotonic() - started < 15
    stopped_at = run.done[-1]
    assert f'stopped after iteration {stopped_at}: SIGTERM (loading did not end)' in run.output
    assert run.checkpoints() == [f'iter_{stopped_at}.ckpt']
    assert_left_nothing(run)


def test_worker_that_hangs_ends_the_run_with_its_sample(make_run, tmp_path):
    run = make_run(WORKERS + 'data["worker_timeout"] = 5\n' + trap(tmp_path, 'train', 'hang'))
    assert run.train() == 1, run.output
    assert 'images/disc_3.png' in run.error and run.error.count('.png') == 1
    assert 'busy for' in run.error and 'data.worker_timeout' in run.error
    assert_left_nothing(run)


def test_worker_that_dies_ends_the_run_with_its_sample_and_no_signals_status(make_run, tmp_path):
    run = make_run(WORKERS + trap(tmp_path, 'train', int(signal.SIGKILL)))
    assert run.train() == 1, run.output
    assert 'was killed by SIGKILL while it loaded' in run.error
    assert 'images/disc_3.png' in run.error and run.error.count('.png') == 1
    assert 'stopped after' not in run.output
    assert_left_nothing(run)
