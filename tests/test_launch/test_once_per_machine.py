"""One process acts, the others wait; nothing that an earlier job left counts."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from msseg.launch.once_per_machine import once_per_machine

ROOT = Path(__file__).parents[2]
PROGRAM = textwrap.dedent("""\
    import sys, time
    from pathlib import Path
    from msseg.launch.once_per_machine import once_per_machine

    folder, seconds, stays = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])

    def act():
        with (folder / 'acts').open('a') as file:
            file.write('begun\\n')
            file.flush()
            time.sleep(seconds)
            file.write('ended\\n')

    did = once_per_machine(folder, act)
    seen = (folder / 'acts').read_text().split()
    print('did' if did else 'waited', *seen, flush=True)
    time.sleep(stays)
    """)


def start(folder, seconds=0.5, stays=1.0):
    command = [sys.executable, '-c', PROGRAM, str(folder), str(seconds), str(stays)]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_one_of_several_processes_acts_and_the_others_wait_for_it(tmp_path):
    outputs = [process.communicate()[0] for process in [start(tmp_path) for _ in range(3)]]
    assert sorted(outputs) == ['did begun ended\n', *['waited begun ended\n'] * 2]


def test_the_note_of_a_job_that_has_ended_does_not_count(tmp_path):
    assert start(tmp_path, stays=0.0).communicate()[0] == 'did begun ended\n'
    assert start(tmp_path, stays=0.0).communicate()[0] == 'did begun ended begun ended\n'


def test_a_number_that_another_process_has_now_does_not_count(tmp_path):
    (tmp_path / '.done-by').write_text(json.dumps({'pid': os.getppid(), 'started': 12.5}))
    assert once_per_machine(tmp_path, lambda: None)
    (tmp_path / '.done-by').write_text('half a no')
    assert once_per_machine(tmp_path, lambda: None)
    assert once_per_machine(tmp_path, lambda: None)  # its own note is of an earlier call


def test_another_process_takes_over_from_one_that_was_killed(tmp_path):
    first = start(tmp_path, seconds=100)
    wait_for((tmp_path / 'acts').exists)
    second = start(tmp_path, seconds=0)
    time.sleep(0.5)
    assert second.poll() is None
    first.send_signal(signal.SIGKILL)
    assert second.communicate()[0] == 'did begun begun ended\n'
    first.communicate()


def test_another_process_tries_again_what_failed(tmp_path):
    def fail():
        raise OSError('no network')

    with pytest.raises(OSError, match='no network'):
        once_per_machine(tmp_path, fail)
    assert start(tmp_path, seconds=0, stays=0).communicate()[0] == 'did begun ended\n'
