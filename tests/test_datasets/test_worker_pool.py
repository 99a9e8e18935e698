"""Worker processes: order, errors, deaths and hangs."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from msseg.datasets import row_source, worker_pool, worker_watch
from msseg.datasets.heartbeat import note_sample
from msseg.datasets.transport import WorkerTraceback
from msseg.datasets.worker_pool import WorkerPool
from msseg.utils.stop_signals import LeftLoading, StopSignals


class OwnError(Exception):
    """Wants more than it hands on to its base, so it cannot be pickled as it is."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def row(number):
    return (np.full((2, 3), number, np.float32), np.full(number + 1, number, np.uint8))


def make_pool(load, num_rows=None, **arguments):
    return WorkerPool(
        load, 2, num_rows, 2, lambda row, place: f'file{row}_{place}.png', **arguments
    )


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


def take(pool, count=10):
    got = []
    try:
        for number, columns in enumerate(pool):
            got.append(columns)
            if number + 1 == count:
                break
    finally:
        pool.close()
    return got


def assert_rows(got):
    for number, columns in enumerate(got):
        for ours, expected in zip(columns, row(number), strict=True):
            assert ours.dtype == expected.dtype
            np.testing.assert_array_equal(ours, expected)


def test_rows_come_in_order_without_end():
    rows = take(make_pool(row), 25)

    assert len(rows) == 25
    assert_rows(rows)


def test_rows_with_an_end(monkeypatch):
    monkeypatch.setattr(worker_pool, '_ROWS_PER_EPOCH', 4)
    rows = take(make_pool(row, num_rows=9), 100)

    assert len(rows) == 9
    assert_rows(rows)


def test_loading_is_done_in_processes():
    pids = {
        int(columns[0][0]) for columns in take(make_pool(lambda i: (np.array([os.getpid()]),) * 2))
    }

    assert os.getpid() not in pids and len(pids) == 2


@pytest.mark.parametrize(
    'error, expected, message',
    [
        (ValueError('file3 is wrong'), ValueError, 'file3 is wrong'),
        (KeyError('name'), KeyError, 'name'),
        (OwnError(3, 'mine'), RuntimeError, 'OwnError: mine'),
        (SystemExit(3), RuntimeError, 'SystemExit: 3'),
    ],
)
def test_error_arrives_with_its_class_and_place(error, expected, message):
    def load(number):
        if number == 3:
            raise error
        return row(number)

    with pytest.raises(expected, match=message) as raised:
        take(make_pool(load))
    assert isinstance(raised.value.__cause__, WorkerTraceback)
    assert 'test_worker_pool.py' in str(raised.value.__cause__)


@pytest.mark.parametrize(
    'death, message',
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), 'was killed by SIGKILL'),
        (lambda: os._exit(4), 'ended with exit (status|code) 4'),
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
    pool = make_pool(row, hang_after_s=2.0)
    rows = iter(pool)
    for _ in range(3):
        next(rows)
    time.sleep(0.5)  # until each has its rows ready and waits
    for worker in pool._workers():
        os.kill(worker.pid, number)
    with pytest.raises((ChildProcessError, TimeoutError)) as raised:
        list(rows)
    pool.close()
    after = r'was killed by SIGKILL after it' if number == signal.SIGKILL else r', after they'
    assert re.search(rf'{after} loaded file\d+_0.png', str(raised.value))


def test_worker_that_dies_before_its_first_sample(monkeypatch):
    monkeypatch.setattr(row_source, 'begin_row', lambda *_: os._exit(4))
    with pytest.raises(ChildProcessError, match='exit (status|code) 4 before it loaded a sample'):
        take(make_pool(row))


def test_closing_leaves_neither_folders_nor_a_warning(tmp_path):
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
import time
import numpy as np
from msseg.datasets.worker_pool import WorkerPool

def load(number):
    time.sleep(3 if number > 4 else 0)  # so that the pool is closed while MindSpore waits
    return (np.zeros((64, 64), np.float32),)

if __name__ == '__main__':
    pool = WorkerPool(load, 1, None, 2, lambda row, place: '')
    for number, _ in enumerate(pool):
        if number == 4:
            time.sleep(0.5)
            pool.close()
            time.sleep(0.5)
            break
"""
    (tmp_path / 'program.py').write_text(program)
    (tmp_path / 'temporary').mkdir()
    ended = subprocess.run(
        [sys.executable, str(tmp_path / 'program.py')],
        env={**os.environ, 'TMPDIR': str(tmp_path / 'temporary')},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, '', '')
    assert list((tmp_path / 'temporary').iterdir()) == []


def test_hanging_worker_ends_the_wait():
    def load(number):
        if number == 5:
            time.sleep(1000)
        return row(number)

    started = time.monotonic()
    with pytest.raises(TimeoutError, match=r'busy for \d+ s with file5_0.png'):
        take(make_pool(load, hang_after_s=6.0))
    assert time.monotonic() - started < 40


def test_stop_signal_ends_the_wait_for_workers_that_hang():
    """The main thread waits in C++ then, where Python's handlers do not run."""
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)).start()
    started = time.monotonic()
    with StopSignals() as signals, pytest.raises(LeftLoading, match=r'SIGTERM \(loading did'):
        take(make_pool(lambda number: time.sleep(60) if number > 2 else row(number)))
    assert 3 < time.monotonic() - started < 12
    assert signals.received is signal.SIGTERM


def test_time_counts_from_the_sample_in_hand_which_is_named():
    def load(number):
        for place in range(8):
            note_sample(place)
            time.sleep(1000 if (number, place) == (0, 7) else 0.9)
        return row(number)

    with pytest.raises(TimeoutError, match='file0_7.png.*allow more time with data.worker_timeout'):
        take(make_pool(load, hang_after_s=6.0))


def test_workers_that_stand_still_between_rows_end_the_wait():
    pool = make_pool(row, hang_after_s=1.5)
    with pytest.raises(TimeoutError, match=r'no loader worker has done anything for \d s'):
        for number, _ in enumerate(pool):
            if number == 2:
                for worker in workers():
                    worker.suspend()
    pool.close()


def test_time_in_which_the_process_itself_was_stopped_does_not_count(monkeypatch):
    clock = time.monotonic

    def load(number):
        time.sleep(0.8)
        return row(number)

    pool = make_pool(load, hang_after_s=6.0)
    for number, _ in enumerate(pool):
        if number == 0:  # an hour passes at once
            monkeypatch.setattr(worker_watch.time, 'monotonic', lambda: clock() + 3600)
        if number == 5:
            break
    assert pool.find_failure() is None
    pool.close()


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_workers_outlive_signals_to_the_whole_job(number):
    pool = make_pool(row)
    for index, _ in enumerate(pool):
        if index == 4:
            for worker in workers():
                worker.send_signal(number)
        if index == 12:
            break
    assert pool.find_failure() is None
    pool.close()


def test_shared_memory_that_is_too_small(monkeypatch):
    class Small:
        f_bavail, f_frsize = 3, 1

    monkeypatch.setattr(row_source.os, 'statvfs', lambda path: Small)

    with pytest.raises(OSError, match='/dev/shm has 0 MiB left.*set workers_per_gpu=0'):
        take(make_pool(row))


def test_settings_of_others_are_kept():
    import cv2
    import mindspore.dataset as ds

    before = ds.config.get_prefetch_size(), ds.config.get_enable_watchdog(), cv2.getNumThreads()
    take(make_pool(row), 2)

    assert before == (
        ds.config.get_prefetch_size(),
        ds.config.get_enable_watchdog(),
        cv2.getNumThreads(),
    )


def test_closing_in_the_middle_is_quick():
    pool = make_pool(lambda i: (np.zeros(10**6), np.zeros(1)))
    rows = iter(pool)
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
        '    return (np.zeros(10),)\n'
        'for row in WorkerPool(load, 1, None, 2, str):\n'
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


def test_program_that_forgets_to_close_ends(tmp_path):
    script = tmp_path / 'script.py'
    script.write_text(
        'import numpy as np\n'
        'from msseg.datasets.worker_pool import WorkerPool\n'
        'pool = WorkerPool(lambda i: (np.zeros(10**5),), 1, None, 2, print)\n'
        'rows = iter(pool)\n'
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
