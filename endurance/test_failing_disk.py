"""A disk that is full for a while, or to the end, under a whole run."""

import resource

from tests.small_run import PAUSE, assert_left_nothing

BIG = "model['backbone']['ballast'] = 500_000\n"  # two megabytes
SMALL_FILES = 1_000_000


def limit_files(process, size):
    """No file that the process writes may be larger from now on."""
    _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, hard))


def test_full_disk_costs_the_checkpoints_of_that_time_alone(make_run):
    run = make_run(BIG + PAUSE.format(0.1) + 'runner["max_iters"] = 60\n')
    process = run.start()
    run.wait_for(lambda: 'iter_4.ckpt' in run.checkpoints(), process)
    limit_files(process, SMALL_FILES)
    before = run.done[-1]
    run.wait_for(lambda: run.done[-1] > before + 6, process)
    failed = [line for line in run.output.splitlines() if 'not saved' in line]
    assert len(failed) >= 2
    assert 'ERROR' in failed[0] and 'File too large (needs 1.9 MiB, the disk has' in failed[0]
    assert 'iter_4.ckpt' in run.checkpoints()
    limit_files(process, resource.RLIM_INFINITY)
    assert process.wait(60) == 0, run.output
    assert 'iter_60.ckpt' in run.checkpoints()
    assert {path.name for path in run.work_dir.glob('.*')} <= {'.msseg.lock'}
    assert_left_nothing(run)


def test_disk_that_stays_full_ends_the_run_with_an_error_and_it_can_go_on(make_run):
    run = make_run(BIG + PAUSE.format(0.1) + 'runner["max_iters"] = 20\n')
    process = run.start()
    run.wait_for(lambda: 'iter_4.ckpt' in run.checkpoints(), process)
    limit_files(process, SMALL_FILES)
    assert process.wait(60) == 1
    assert 'the last checkpoint was not saved: ' in run.error and 'iter_20.ckpt' in run.error
    assert 'File too large' in run.error and '--auto-resume' in run.error
    assert 'iter_4.ckpt' in run.checkpoints() and 'iter_20.ckpt' not in run.checkpoints()
    assert run.train('--auto-resume') == 0
    assert 'iter_20.ckpt' in run.checkpoints()
    assert_left_nothing(run)
