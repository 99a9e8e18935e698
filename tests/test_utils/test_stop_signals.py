"""Signals to a process of its own: one is noted, a second one ends it, whatever it is doing."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from msseg.utils.rank_status import heard_file
from msseg.utils.stop_signals import STOP_SIGNALS, StopSignals, exit_status

WAIT_IN_C = 'sum(range({}))'  # holds the interpreter, as compiling does
PROGRAM = """
import ctypes, sys, time
from msseg.utils.stop_signals import StopSignals
with StopSignals() as signals:
    print('ready', flush=True)
    for _ in range(100):
        {wait}
        if signals.received:
            print('noted', signals.received.name, flush=True)
            {then}
"""


HEARD = (
    """
import ctypes, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background ignore it
from msseg.utils.stop_signals import hear_interrupts
hear_interrupts()
libc = ctypes.CDLL(None)
steal = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda number: libc.kill(libc.getpid(), 15))
libc.signal(2, steal)  # as MindSpore does
"""
    + PROGRAM
)

FULL_DISK = """
import os
os.dup2(os.open('/dev/full', os.O_WRONLY), 2)
"""


@pytest.fixture
def start():
    started = []

    def start_program(wait, then, program=PROGRAM):
        process = subprocess.Popen(
            [sys.executable, '-c', program.format(wait=wait, then=then)],
            env={**os.environ, 'PYTHONPATH': str(Path(__file__).parents[2])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == 'ready\n'
        return process

    yield start_program
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize('number', STOP_SIGNALS, ids=lambda number: number.name)
def test_first_one_is_noted(start, number):
    process = start('time.sleep(0.05)', 'sys.exit(7)')
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (7, f'noted {number.name}\n')
    assert err == f'{number.name}: ending soon, at once with a second one\n'


@pytest.mark.parametrize('number', STOP_SIGNALS, ids=lambda number: number.name)
def test_second_one_ends_the_process(start, number):
    process = start('time.sleep(0.05)', 'time.sleep(60)')
    process.send_signal(number)
    assert process.stdout.readline() == f'noted {number.name}\n'
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == -signal.SIGTERM


def test_one_that_comes_while_python_does_not_run_is_not_lost(start):
    process = start(WAIT_IN_C.format(3 * 10**7), 'sys.exit(7)')
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=20)[0] == 'noted SIGTERM\n'
    assert process.returncode == 7


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_second_one_ends_the_process_also_while_python_does_not_run(start, number):
    process = start(WAIT_IN_C.format(10**11), 'pass')
    time.sleep(0.5)  # until it computes
    started = time.monotonic()
    process.send_signal(number)
    time.sleep(0.2)
    process.send_signal(number)
    assert process.wait(timeout=20) == -signal.SIGKILL  # no handler of Python's could run
    assert time.monotonic() - started < 10


def test_interrupt_stays_one_where_another_handler_makes_it_something_else(start):
    process = start('time.sleep(0.05)', 'sys.exit(7)', HEARD)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20)[0] == 'noted SIGINT\n'
    assert process.returncode == 7


@pytest.mark.parametrize('first', [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_second_interrupt_ends_the_process_where_they_are_heard(start, first):
    process = start('time.sleep(0.05)', 'time.sleep(60)', HEARD)
    process.send_signal(first)
    assert process.stdout.readline() == f'noted {first.name}\n'
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == -signal.SIGINT


def test_interrupt_before_the_run_is_pythons_own(start):
    program = HEARD.replace('with StopSignals() as signals:', 'import types\n'
        'signals = types.SimpleNamespace(received=None)\nif True:')  # fmt: skip
    process = start('time.sleep(0.05)', 'pass', program)
    process.send_signal(signal.SIGINT)
    assert 'KeyboardInterrupt' in process.communicate(timeout=20)[1]


@pytest.mark.parametrize(
    'work', ['time.sleep(60)', 'open(fifo)'], ids=['in Python', 'in a system call']
)
def test_loading_that_does_not_end_is_left_seconds_after_the_first_one(start, tmp_path, work):
    os.mkfifo(tmp_path / 'fifo')
    program = PROGRAM.replace(
        '{wait}',
        """
        from msseg.utils.stop_signals import LeftLoading, leave_when_stuck
        fifo = {fifo!r}
        try:
            with leave_when_stuck():
                try:
                    {work}
                except Exception:  # a transform that goes on after any error
                    pass
        except LeftLoading as left:
            print(left, flush=True)
            sys.exit(7)""",
    )
    program = program.replace('{fifo!r}', repr(str(tmp_path / 'fifo'))).replace('{work}', work)
    process = start('', 'pass', program)
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (7, 'SIGTERM (loading did not end)\n'), err
    assert err == 'SIGTERM: ending soon, at once with a second one\n'
    assert 2.5 < time.monotonic() - started < 10


def test_sigterm_at_the_start_ends_the_process_with_a_line(start):
    program = PROGRAM.replace(
        'with StopSignals() as signals:',
        'from msseg.utils.stop_signals import ending_by_sigterm\nwith ending_by_sigterm():',
    )
    process = start('time.sleep(60)', 'pass', program)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (143, 'SIGTERM: ended before anything was begun\n')


def test_rank_reports_a_signal_while_python_does_not_run(start, tmp_path, monkeypatch):
    monkeypatch.setenv('MSSEG_RANK_STATUS', str(tmp_path))
    monkeypatch.setenv('RANK_ID', '3')
    process = start(WAIT_IN_C.format(10**11), 'pass')
    time.sleep(0.5)  # until it computes
    assert not heard_file(tmp_path, 3).exists()
    process.send_signal(signal.SIGUSR1)
    deadline = time.monotonic() + 20
    while not heard_file(tmp_path, 3).exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert process.poll() is None


def test_nothing_is_left_of_it():
    before = set(psutil.Process().children()), threading.active_count(), os.listdir('/dev/fd')
    with StopSignals():
        os.kill(os.getpid(), signal.SIGWINCH)
    with StopSignals() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
    assert signals.received is signal.SIGTERM
    after = set(psutil.Process().children()), threading.active_count(), os.listdir('/dev/fd')
    assert after == before


def test_handlers_are_restored():
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    with StopSignals():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before


def test_thread_that_gets_no_signals_changes_nothing():
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    inside = []

    def run():
        with StopSignals() as signals:
            inside.extend([signal.getsignal(number) for number in STOP_SIGNALS])
            assert signals.received is None

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert inside == before


def test_exit_status_is_that_of_the_signal():
    reasons = [None, 'no better for 5 evaluations', 'SIGTERM', 'SIGINT', 'SIGTERM of another one']
    assert [exit_status(reason) for reason in reasons] == [0, 0, 143, 130, 143]


def test_signal_is_noted_when_the_disk_of_the_output_is_full(start):
    process = start('time.sleep(0.01)', 'sys.exit(7)', FULL_DISK + PROGRAM)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 7


def test_an_interrupt_that_python_dropped_ends_the_run_before_it_begins(monkeypatch):
    monkeypatch.setattr('msseg.utils.stop_signals._was_interrupted', True)
    with pytest.raises(KeyboardInterrupt), StopSignals():
        raise AssertionError('the run began')
