"""The watch over a job, with processes that do not start the framework."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from msseg.launch.job import Job, make_log_dir
from msseg.launch.spawn import JobPlan, find_free_port
from tests.many_processes import clean_environment

RUN = """
import os, sys
from pathlib import Path
from msseg.launch import job
from msseg.launch.spawn import JobPlan
job._STUCK_AFTER_S = float(os.environ.get('DEFAULT_S', 300))
sys.exit(job.Job(JobPlan(sys.argv[1:2], [], 2, Path(sys.argv[2]), 'ranktable')).run())
"""
RANK = """
import os, signal, subprocess, sys, time
from pathlib import Path
from msseg.utils.rank_status import end_with_launcher, note, note_together

rank = int(os.environ['RANK_ID'])
Path(f'pid_{rank}').write_text(str(os.getpid()))
note_together('joining')
note('loading a batch')
"""
WAIT = """
note_together('computing')
time.sleep(100)
"""


class Run:
    """A job of two processes that has been started."""

    def __init__(self, folder, body, output=subprocess.PIPE, **variables):
        (folder / 'rank.py').write_text(RANK + body)
        devices = [{'device_id': str(i), 'rank_id': str(i)} for i in range(2)]
        (folder / 'table.json').write_text(json.dumps({'server_list': [{'device': devices}]}))
        (folder / 'logs').mkdir()
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, '-c', RUN, str(folder / 'rank.py'), str(folder / 'logs')],
            env={**clean_environment(), 'RANK_TABLE_FILE': 'table.json', **variables},
            cwd=folder,
            stdout=output,
            stderr=output,
            text=True,
        )

    def result(self):
        """Returns exit status, standard output and the lines of standard error."""
        output, errors = self.process.communicate(timeout=60)
        return self.process.returncode, output, errors.splitlines()

    def wait_for(self, *names):
        deadline = time.monotonic() + 30
        while not all((self.folder / name).exists() for name in names):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def pid(self, rank):
        return int((self.folder / f'pid_{rank}').read_text())


@pytest.fixture
def start(tmp_path):
    return lambda body, **variables: Run(tmp_path, body, **variables)


def test_all_end_well_and_rank_0_is_shown(start):
    run = start("""
print(f'rank {rank} of', os.environ['RANK_SIZE'], 'on', os.environ['DEVICE_ID'], sys.argv[1:])
print('[WARNING] DISTRIBUTED(1,2,python): looking for others')
""")
    status, output, errors = run.result()
    assert (status, errors) == (0, [])
    assert output == "rank 0 of 2 on 0 ['--launcher=ranktable']\n"
    log = (run.folder / 'logs' / 'worker_1.log').read_text()
    assert log.startswith("rank 1 of 2 on 1 ['--launcher=ranktable']\n[WARNING] DISTRIBUTED(")


@pytest.mark.parametrize('more', ['', "sys.exit(print('error: bad', file=sys.stderr) or 1)"])
def test_output_that_cannot_be_written_ends_nothing(start, more):
    """The disk of a job's output is full, or who read it is gone; those of the ranks are not."""
    with open('/dev/full', 'w') as full:
        run = start('print("one"); time.sleep(1); print("two")\n' + more, output=full)
        assert run.process.wait(60) == (1 if more else 0)
    assert 'one\ntwo\n' in (run.folder / 'logs' / 'worker_0.log').read_text()


def test_a_users_mistake_on_one_rank_ends_all_in_one_line(start):
    run = start("""
if rank == 1:
    sys.exit(print('error: image x.png is damaged', file=sys.stderr) or 1)
""" + WAIT)  # fmt: skip
    assert run.result() == (1, '', ['error: rank 1: image x.png is damaged'])
    assert not psutil.pid_exists(run.pid(0))


def test_a_mistake_that_all_report_is_said_once(start):
    run = start("sys.exit(print('error: no such file', file=sys.stderr) or 1)")
    assert run.result() == (1, '', ['error: no such file'])


def test_a_dead_rank_is_named_with_what_it_did(start):
    run = start("""
if rank == 1:
    note('loading the batch of iteration 4')
    subprocess.Popen(['sleep', '100'])  # as a loader worker would
    os.kill(os.getpid(), signal.SIGKILL)
""" + WAIT)  # fmt: skip
    status, _, errors = run.result()
    assert status == 1
    assert errors == [
        f'error: rank 1 (process {run.pid(1)}) was killed by SIGKILL while loading the batch of '
        'iteration 4 (the system does that when memory runs out); the other ranks were ended; its '
        f'log is {run.folder}/logs/worker_1.log'
    ]
    left = [p for p in psutil.process_iter(['cwd']) if p.info['cwd'] == str(run.folder)]
    assert left == []


def test_a_program_error_is_shown_and_not_what_follows_from_it(start):
    run = start("""
if rank == 0:
    time.sleep(0.5)
    raise RuntimeError('Launch kernel failed, name:Default/AllReduce-op0')
raise ZeroDivisionError('a bug')
""")
    status, _, errors = run.result()
    assert status == 1
    assert errors[0] == 'Traceback (most recent call last):'
    assert errors[-2] == 'ZeroDivisionError: a bug'
    expected = f'rank 1 (process {run.pid(1)}) ended with exit status 1 while loading a batch: '
    assert errors[-1].startswith(f'error: {expected}ZeroDivisionError: a bug; its log is ')


def test_a_stuck_rank_is_named_when_others_wait_for_it(start):
    run = start('if rank == 1: time.sleep(100)' + WAIT, MSSEG_STUCK_AFTER_S='2')
    status, _, errors = run.result()
    assert status == 1
    expected = f'error: rank 1 (process {run.pid(1)}) is stuck while loading a batch: the others'
    assert errors[0].startswith(f'{expected} have waited ')
    assert 'for it; all ranks were ended; its log is ' in errors[0]


def test_a_stopped_rank_is_named(start):
    run = start(WAIT, MSSEG_STUCK_AFTER_S='2')
    run.wait_for('pid_0', 'pid_1')
    os.kill(run.pid(0), signal.SIGSTOP)
    status, _, errors = run.result()
    assert status == 1
    assert f'rank 0 (process {run.pid(0)}) is stuck while' in errors[0]
    assert 'it is stopped (SIGSTOP)' in errors[0]


def test_ranks_that_wait_together_are_not_stuck(start):
    run = start(WAIT.replace('100', '4'), MSSEG_STUCK_AFTER_S='1')
    assert run.result() == (0, '', [])


def test_ranks_that_compile_ask_for_patience(start):
    patient = 'from msseg.utils.rank_status import ask_for_patience\nask_for_patience(60)\n'
    late = f"{patient}note('compiling')\nif rank == 1: time.sleep(4)"
    run = start(late + WAIT.replace('100', '4'), DEFAULT_S='1')
    assert run.result() == (0, '', [])


STOPPING = """
from msseg.utils.stop_signals import StopSignals
with StopSignals() as signals:
    Path(f'ready_{rank}').touch()
    while signals.received is None:
        time.sleep(0.01)
    time.sleep(1.5 + rank)
    Path(f'saved_{rank}').touch()
    sys.exit(128 + signals.received)
"""


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_goes_to_all_ranks_which_end_by_themselves(start, number):
    run = start(STOPPING)
    run.wait_for('ready_0', 'ready_1')
    run.process.send_signal(number)
    status, output, errors = run.result()
    assert (status, errors) == (128 + number, [])
    assert output == f'{number.name}: ending soon, at once with a second one\n'
    assert (run.folder / 'saved_0').exists() and (run.folder / 'saved_1').exists()


def test_a_signal_to_every_process_is_one_signal(start):
    run = start(STOPPING)
    run.wait_for('ready_0', 'ready_1')
    for pid in (run.pid(0), run.process.pid, run.pid(1)):
        os.kill(pid, signal.SIGTERM)
    status, _, errors = run.result()
    assert (status, errors) == (143, [])
    assert (run.folder / 'saved_0').exists() and (run.folder / 'saved_1').exists()


def test_a_signal_before_the_ranks_can_save_ends_them(start):
    run = start(WAIT)
    run.wait_for('pid_0', 'pid_1')
    run.process.send_signal(signal.SIGTERM)
    assert run.result() == (143, '', [])


def test_a_second_signal_does_not_wait_for_ranks_that_do_not_end(start):
    run = start(
        'signal.signal(signal.SIGTERM, signal.SIG_IGN); Path(f"ready_{rank}").touch()' + WAIT
    )
    run.wait_for('ready_0', 'ready_1')
    run.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert run.process.poll() is None
    run.process.send_signal(signal.SIGTERM)
    assert run.result() == (143, '', [])
    assert not psutil.pid_exists(run.pid(0))


def test_ranks_stop_when_the_one_that_watches_is_killed(start):
    run = start('end_with_launcher()' + STOPPING)
    run.wait_for('ready_0', 'ready_1')
    run.process.kill()
    run.process.wait()
    run.wait_for('saved_0', 'saved_1')


def test_a_rank_table_with_fewer_ranks_than_processes(tmp_path, monkeypatch):
    table = tmp_path / 'table.json'
    table.write_text('{"server_list": [{"device": [{"device_id": "0", "rank_id": "0"}]}]}')
    monkeypatch.setenv('RANK_TABLE_FILE', str(table))
    plan = JobPlan(['rank.py'], [], 2, tmp_path, 'ranktable')
    with pytest.raises(ValueError, match=r'2 processes were asked for.*has no rank 1; it lists'):
        Job(plan).run()
    monkeypatch.delenv('RANK_TABLE_FILE')
    with pytest.raises(ValueError, match='RANK_TABLE_FILE is not set in the environment'):
        Job(plan).run()


def test_a_time_to_wait_that_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv('MSSEG_STUCK_AFTER_S', 'soon')
    with pytest.raises(ValueError, match="MSSEG_STUCK_AFTER_S is 'soon', expected a positive"):
        Job(JobPlan(['rank.py'], [], 1, tmp_path))


def test_every_start_has_a_log_folder_of_its_own(tmp_path):
    first, second = make_log_dir(tmp_path), make_log_dir(tmp_path)
    assert first != second
    assert first.parent == second.parent == tmp_path / 'rank_logs'
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match=r"work dir '.*file' cannot be written \(Not a directory\)"):
        make_log_dir(tmp_path / 'file')


def test_ports_are_free():
    assert 1024 < find_free_port() < 65536
