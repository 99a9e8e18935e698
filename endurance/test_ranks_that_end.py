"""A run of two processes of which one dies, hangs or finds its disk full, or which is stopped."""

import resource
import signal
import time

import psutil
import pytest

from msseg.runner.checkpoint import load_checkpoint
from tests.many_processes import ManyRun
from tests.small_run import PAUSE, WORKERS, trap

LONG = 'runner["max_iters"] = 400\ncheckpoint_config["interval"] = 5\n'
BIG = "model['backbone']['ballast'] = 500_000\n"  # two megabytes
STUCK_AFTER_S = 5


@pytest.fixture
def make_run(tmp_path):
    runs = []

    def make(more):
        runs.append(ManyRun(tmp_path, more))
        return runs[-1]

    yield make
    for run in runs:
        run.end()


def start_two(run, *arguments, **variables):
    """Start two ranks; return the script's process and theirs, once two checkpoints are there."""
    process = run.start(2, '--work-dir', run.work_dir, *arguments, **variables)
    run.wait_for(lambda: len(saved(run)) > 1, process, timeout=300)
    children = psutil.Process(process.pid).children(recursive=True)
    own = [p for p in children if str(run.config) in p.cmdline() and 'RANK_ID' in p.environ()]
    ranks = {p.environ()['RANK_ID']: p for p in own if p.environ()['MS_ROLE'] == 'MS_WORKER'}
    return process, [ranks['0'], ranks['1']]


def saved(run):
    """Return the iterations of the checkpoints, without files that are being written."""
    names = [name for name in run.checkpoints() if name.startswith('iter_')]
    return sorted(int(name.removeprefix('iter_').removesuffix('.ckpt')) for name in names)


def assert_nothing_lost(run):
    """Check that every checkpoint can be read, and that nobody is left to write another."""
    assert len(saved(run)) > 1
    for iteration in saved(run):
        checkpoint = load_checkpoint(run.work_dir / f'iter_{iteration}.ckpt')
        assert checkpoint.meta['iter'] == iteration
    assert left_of(run) == []


def left_of(run):
    """Return the processes of a run that there are still."""
    return [
        process
        for process in psutil.process_iter(['cmdline'])
        if str(run.config) in (process.info['cmdline'] or [])
    ]


@pytest.mark.parametrize('rank', [0, 1])
def test_rank_that_is_killed_is_named_and_the_run_can_go_on(make_run, rank):
    run = make_run(LONG + PAUSE.format(0.1))
    process, ranks = start_two(run)
    ranks[rank].kill()
    started = time.monotonic()
    assert process.wait(60) == 1, run.output
    assert time.monotonic() - started < 20  # and not when the collectives give up
    said = f'rank {rank} (process {ranks[rank].pid}) was killed by SIGKILL while '
    assert said in run.error
    assert '(the system does that when memory runs out); the other ranks were ended' in run.error
    assert f'/worker_{rank}.log' in run.error
    assert_nothing_lost(run)
    if rank == 0:
        last = saved(run)[-1]
        more = ['--auto-resume', '--cfg-options', f'runner.max_iters={last + 2}']
        again = run.start(2, '--work-dir', run.work_dir, *more)
        assert again.wait(180) == 0, run.output
        assert f'iter_{last}.ckpt at iteration {last}' in run.output
        assert saved(run)[-1] == last + 2


@pytest.mark.parametrize('rank', [0, 1])
def test_rank_that_is_stuck_is_named(make_run, rank):
    run = make_run(LONG + PAUSE.format(0.1))
    process, ranks = start_two(run, MSSEG_STUCK_AFTER_S=str(STUCK_AFTER_S))
    ranks[rank].suspend()
    started = time.monotonic()
    assert process.wait(60) == 1, run.output
    assert STUCK_AFTER_S <= time.monotonic() - started < STUCK_AFTER_S + 20
    assert f'rank {rank} (process {ranks[rank].pid}) is stuck while ' in run.error
    assert 'it is stopped (SIGSTOP); all ranks were ended; its log is ' in run.error
    assert_nothing_lost(run)


def test_sigterm_to_a_run_of_two_saves_and_it_goes_on_bit_by_bit(make_run):
    run = make_run(LONG + PAUSE.format(0.1))
    process, _ = start_two(run)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143, run.output
    last = run.done[-1]
    assert sorted(run.done) == sorted(2 * list(range(1, last + 1)))  # both did the same ones
    assert saved(run)[-1] == last
    assert f'stopped after iteration {last}: SIGTERM' in run.output
    assert_nothing_lost(run)
    options = ['--cfg-options', f'custom_hooks.0.stop_at={last + 3}']
    again = run.start(2, '--work-dir', run.work_dir, '--auto-resume', *options)
    assert again.wait(180) == 0, run.output
    stopped = tensors_of(run.work_dir / f'iter_{last + 3}.ckpt')
    straight = run.folder / 'straight'
    assert run.start(2, '--work-dir', straight, *options).wait(180) == 0, run.output
    assert tensors_of(straight / f'iter_{last + 3}.ckpt') == stopped
    assert {path.name for path in run.work_dir.glob('.*')} <= {'.msseg.lock'}


def tensors_of(path):
    checkpoint = load_checkpoint(path)
    return {
        name: value.tobytes() for name, value in {**checkpoint.weights, **checkpoint.state}.items()
    }


def test_rank_whose_disk_stays_full_ends_the_run_with_its_error(make_run):
    run = make_run(BIG + PAUSE.format(0.1) + 'runner["max_iters"] = 20\n')
    process, ranks = start_two(run)
    resource.prlimit(ranks[0].pid, resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
    assert process.wait(60) == 1, run.output
    assert 'the last checkpoint was not saved: ' in run.error and 'iter_20.ckpt' in run.error
    assert 'File too large' in run.error and '--auto-resume' in run.error
    assert saved(run)[-1] < 20
    assert max(run.done) == 20  # it went on meanwhile
    assert_nothing_lost(run)


def test_ranks_end_by_themselves_when_the_script_is_killed(make_run):
    run = make_run(LONG + PAUSE.format(0.1))
    process, ranks = start_two(run)
    process.kill()
    process.wait()
    gone, alive = psutil.wait_procs(ranks, timeout=60)
    assert len(gone) == 2 and not alive
    assert saved(run)[-1] == run.done[-1]
    deadline = time.monotonic() + 30  # the scheduler ends after them
    while time.monotonic() < deadline and left_of(run):
        time.sleep(0.5)
    assert_nothing_lost(run)


@pytest.mark.parametrize('deed', ['hang', int(signal.SIGKILL)], ids=['hangs', 'dies'])
def test_loader_worker_of_a_rank_ends_the_run_with_its_sample(make_run, tmp_path, deed):
    more = 'data["worker_timeout"] = 5\n' + trap(tmp_path, 'train', deed)
    run = make_run(LONG + PAUSE.format(0.1) + WORKERS + more)
    (tmp_path / 'armed').unlink()
    process, _ = start_two(run)
    (tmp_path / 'armed').touch()
    assert process.wait(90) == 1, run.output
    assert 'images/disc_3.png' in run.error and run.error.count('.png') == 1
    assert ('busy for' if deed == 'hang' else 'was killed by SIGKILL while') in run.error
    assert_nothing_lost(run)
