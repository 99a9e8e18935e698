"""Worker processes: order, errors, deaths and hangs."""

import gc
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
import types
from itertools import count, islice
from pathlib import Path

import numpy as np
import psutil
import pytest

from msseg.datasets import worker_pool
from msseg.datasets.worker_pool import WorkerPool
from msseg.datasets.worker_process import WorkerTraceback, report_sample
from msseg.utils.logging import warn_once
from msseg.utils.stop_signals import LeftLoading, StopSignals


class OwnError(Exception):
    """Wants more than it hands on to its base, so it cannot be pickled as it is."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def row(number):
    return (np.full((2, 3), number, np.float32), np.full(number + 1, number, np.uint8))


def make_pool(load, num_workers=2, **arguments):
    return WorkerPool(load, num_workers, lambda task, place: f'file{task}_{place}.png', **arguments)


def workers():
    return [p for p in psutil.Process().children(recursive=True) if is_alive(p)]


def is_alive(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # ended since it was listed
        return False


@pytest.fixture(autouse=True)
def no_process_is_left():
    before = len(workers())
    yield
    deadline = time.monotonic() + 10
    while len(workers()) > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(workers()) <= before


def take(pool, num=10):
    try:
        return list(islice(pool.imap(count()), num))
    finally:
        pool.close()


def assert_rows(got):
    for number, columns in enumerate(got):
        for ours, expected in zip(columns, row(number), strict=True):
            assert ours.dtype == expected.dtype
            np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize('num_workers', [1, 2, 3])
def test_results_come_in_order_without_end(num_workers):
    rows = take(make_pool(row, num_workers), 25)

    assert len(rows) == 25
    assert_rows(rows)


def test_workers_stay_for_more_tasks():
    pool = make_pool(lambda task: (os.getpid(), task, np.arange(task)))
    first, second = [list(pool.imap(range(start, 9))) for start in (0, 4)]
    pool.close()

    assert [task for _, task, _ in first] == list(range(9))
    assert [task for _, task, _ in second] == list(range(4, 9))
    assert {pid for pid, *_ in first} == {pid for pid, *_ in second}
    assert list(pool.imap([])) == []
    pool.close()


def test_forgotten_pool_ends_its_workers():
    pool = make_pool(row)
    list(pool.imap(range(3)))
    started = workers()
    del pool
    gc.collect()

    assert len(started) == 2 and not any(map(is_alive, started))


def test_results_are_any_objects_and_arrays_can_be_written():
    def load(task):
        part = np.arange(12.0).reshape(3, 4)
        return {'views': [part[:, 1], part.T], 'meta': [dict(size=(task, 2), empty=np.zeros(0))]}

    for result in take(make_pool(load), 5):
        first, second = result['views']
        first += 1
        np.testing.assert_array_equal(second, np.arange(12.0).reshape(3, 4).T)
    assert [array.size for array in take(make_pool(lambda task: np.zeros(0)), 3)] == [0, 0, 0]
    assert result['meta'][0]['size'] == (4, 2) and result['meta'][0]['empty'].shape == (0,)


def test_one_result_is_received_ahead(tmp_path):
    """While one is used, the next ones are loaded, and one of them is here already."""
    pool = make_pool(row, 1)
    rows = pool.imap(count())
    next(rows)
    time.sleep(0.5)
    for worker in workers():
        worker.kill()
    assert_rows([row(0), next(rows)])
    with pytest.raises(ChildProcessError):
        list(rows)


def test_function_that_cannot_be_sent():
    lock = threading.Lock()
    with pytest.raises(ValueError, match='cannot be sent to loader workers.*workers_per_gpu=0'):
        take(make_pool(lambda task: lock))


def test_module_that_workers_do_not_find(monkeypatch):
    module = types.ModuleType('only_here')
    exec('def load(task): pass', module.__dict__)
    monkeypatch.setitem(sys.modules, 'only_here', module)
    with pytest.raises(ChildProcessError, match="cannot load the data set.*'only_here'"):
        take(make_pool(module.load))


def test_messages_of_workers_are_logged_here(caplog):
    def load(task):
        logging.getLogger('msseg').warning('task %d', task)
        warn_once(f'a warning of {os.getppid()}')

    take(make_pool(load), 4)
    messages = [record.getMessage() for record in caplog.records]
    assert {f'task {task}' for task in range(4)} <= set(messages)
    assert messages.count(f'a warning of {os.getpid()}') == 1


def test_loading_is_done_in_processes():
    pids = set(take(make_pool(lambda task: os.getpid())))

    assert os.getpid() not in pids and len(pids) == 2


@pytest.mark.parametrize(
    'error, expected, message',
    [
        (lambda: ValueError('file3 is wrong'), ValueError, 'file3 is wrong'),
        (lambda: KeyError('name'), KeyError, 'name'),
        (lambda: OwnError(3, 'mine'), RuntimeError, 'OwnError: mine'),
        (lambda: SystemExit(3), RuntimeError, 'SystemExit: 3'),
    ],
)
def test_error_arrives_with_its_class_and_place(error, expected, message):
    def load(number):
        if number == 3:
            raise error()
        return row(number)

    with pytest.raises(expected, match=message) as raised:
        take(make_pool(load))
    assert isinstance(raised.value.__cause__, WorkerTraceback)
    assert 'test_worker_pool.py' in str(raised.value.__cause__)


@pytest.mark.parametrize(
    'death, message',
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), 'was killed by SIGKILL'),
        (lambda: os._exit(4), 'ended with exit status 4'),
    ],
)
def test_death_of_a_worker_ends_the_wait(death, message):
    def load(number):
        time.sleep(0.05)
        if number == 7:
            death()
        return row(number)

    with pytest.raises(ChildProcessError, match=message):
        take(make_pool(load))


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGSTOP], ids=lambda n: n.name)
def test_worker_that_ends_or_stands_still_between_samples_is_told_with_its_last_one(number):
    pool = make_pool(row, timeout_s=2.0)
    rows = pool.imap(count())
    for _ in range(3):
        next(rows)
    time.sleep(0.5)  # until each has its rows ready and waits
    for worker in workers():
        worker.send_signal(number)
    with pytest.raises((ChildProcessError, TimeoutError)) as raised:
        list(rows)
    pool.close()
    after = r'was killed by SIGKILL after it' if number == signal.SIGKILL else r', after it'
    assert re.search(rf'{after} loaded file\d+_0.png', str(raised.value))


class EndsWorker:
    def __reduce__(self):
        return os._exit, (4,)


def test_worker_that_dies_before_its_first_sample():
    ends = EndsWorker()
    with pytest.raises(ChildProcessError, match='exit status 4 before it loaded a sample'):
        take(make_pool(lambda task: ends))


def test_closing_leaves_neither_folders_nor_a_warning(tmp_path):
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
import time
import numpy as np
from msseg.datasets.worker_pool import WorkerPool

def load(number):
    time.sleep(3 if number > 4 else 0)
    return np.zeros((64, 64), np.float32)

pool = WorkerPool(load, 2, lambda task, place: '')
for number, _ in enumerate(pool.imap(range(100))):
    if number == 4:
        time.sleep(0.5)
        pool.close()
        time.sleep(0.5)
        break
"""
    (tmp_path / 'program.py').write_text(program)
    (tmp_path / 'temporary').mkdir()
    before = os.listdir('/dev/shm')
    ended = subprocess.run(
        [sys.executable, str(tmp_path / 'program.py')],
        env={**os.environ, 'TMPDIR': str(tmp_path / 'temporary')},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, '', '')
    assert list((tmp_path / 'temporary').iterdir()) == []
    assert os.listdir('/dev/shm') == before


def test_hanging_worker_ends_the_wait():
    def load(number):
        if number == 5:
            time.sleep(1000)
        return row(number)

    started = time.monotonic()
    with pytest.raises(TimeoutError, match=r'busy for \d+ s with file5_0.png'):
        take(make_pool(load, timeout_s=6.0))
    assert time.monotonic() - started < 40


def test_stop_signal_ends_the_wait_for_workers_that_hang():
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)).start()
    started = time.monotonic()
    with StopSignals() as signals, pytest.raises(LeftLoading, match=r'SIGTERM \(loading did'):
        take(make_pool(lambda number: time.sleep(60) if number > 2 else row(number)))
    assert 3 < time.monotonic() - started < 12
    assert signals.received is signal.SIGTERM


def test_time_counts_from_the_sample_in_hand_which_is_named():
    def load(number):
        for place in range(8):
            report_sample(place)
            time.sleep(1000 if (number, place) == (0, 7) else 0.9)
        return row(number)

    with pytest.raises(TimeoutError, match='file0_7.png.*allow more time with data.worker_timeout'):
        take(make_pool(load, timeout_s=6.0))


def test_worker_that_stands_still_ends_the_wait():
    pool = make_pool(row, timeout_s=1.5)
    with pytest.raises(TimeoutError, match=r'has (not done anything|been busy) for \d s'):
        for number, _ in enumerate(pool.imap(count())):
            if number == 2:
                for worker in workers():
                    worker.suspend()


def test_time_in_which_the_process_itself_was_stopped_does_not_count(monkeypatch):
    clock = time.monotonic

    def load(number):
        time.sleep(0.8)
        return row(number)

    pool = make_pool(load, timeout_s=6.0)
    for number, _ in enumerate(pool.imap(range(6))):
        if number == 0:  # an hour passes at once
            monkeypatch.setattr(worker_pool.time, 'monotonic', lambda: clock() + 3600)
    assert number == 5
    pool.close()


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_workers_outlive_signals_to_the_whole_job(number):
    pool = make_pool(row)
    for index, _ in enumerate(pool.imap(range(13))):
        if index in (0, 4):
            for worker in workers():
                worker.send_signal(number)
    assert index == 12
    pool.close()


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_workers_outlive_signals_that_come_while_they_start(number, monkeypatch):
    started = subprocess.Popen

    def start(*arguments, **options):
        process = started(*arguments, **options)
        process.send_signal(number)
        return process

    monkeypatch.setattr(worker_pool.subprocess, 'Popen', start)
    assert_rows(take(make_pool(row), 3))


def test_closing_in_the_middle_is_quick():
    pool = make_pool(lambda i: np.zeros(10**6))
    rows = pool.imap(count())
    next(rows)
    time.sleep(0.3)  # workers wait for room now
    started = time.monotonic()
    pool.close()
    assert time.monotonic() - started < 3
    assert list(rows) == []


def test_workers_end_with_their_process_also_when_one_hangs(tmp_path):
    script = tmp_path / 'script.py'
    script.write_text(
        'import time, numpy as np\n'
        'from msseg.datasets.worker_pool import WorkerPool\n'
        'def load(row):\n'
        '    time.sleep(1000 if row == 4 else 0)\n'
        '    return np.zeros(10)\n'
        'for row in WorkerPool(load, 2, print).imap(range(100)):\n'
        '    print("row", flush=True)\n'
    )
    process = subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, 'PYTHONPATH': str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == 'row\n'
        time.sleep(1)
        started = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.kill()
        process.communicate()
    _, alive = psutil.wait_procs(started, timeout=20)
    assert len(started) >= 2 and not alive


def test_error_of_a_scripts_own_function_names_its_file_and_line(tmp_path):
    script = tmp_path / 'script.py'
    script.write_text(
        'from msseg.datasets.worker_pool import WorkerPool\n'
        'def load(task):\n'
        '    return 1 / task\n'
        'try:\n'
        '    list(WorkerPool(load, 1, print).imap([0]))\n'
        'except ZeroDivisionError as error:\n'
        '    print(error.__cause__)\n'
    )
    finished = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, 'PYTHONPATH': str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert f'File "{script}", line 3, in load' in finished.stdout


def test_program_that_forgets_to_close_ends(tmp_path):
    script = tmp_path / 'script.py'
    script.write_text(
        'import numpy as np\n'
        'from msseg.datasets.worker_pool import WorkerPool\n'
        'pool = WorkerPool(lambda i: np.zeros(10**5), 2, print)\n'
        'rows = pool.imap(range(100))\n'
        'next(rows)\n'
        'print("done", flush=True)\n'
    )
    root = str(Path(__file__).parents[2])
    finished = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, 'PYTHONPATH': root},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == 'done\n'
