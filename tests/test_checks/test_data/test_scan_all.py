"""Files are looked at in several processes, in bounded memory, with a progress bar."""

from __future__ import annotations

import io
import pickle
import sys
import tracemalloc

import cv2
import numpy as np
import pytest

from msseg.checks.data import check as module
from msseg.checks.data.check import scan_all
from msseg.checks.data.file_scan import PairTask
from tests.test_checks.test_data import in_workers
from tests.test_datasets.data_folder import write_images


@pytest.fixture
def tasks(tmp_path):
    write_images(tmp_path, count=9)
    (tmp_path / 'img/train/image3.jpg').write_bytes(b'')
    (tmp_path / 'ann/train/image5.png').write_text('no image')
    names = [f'train/image{i}' for i in range(9)]
    return [
        PairTask(str(tmp_path / 'img' / f'{name}.jpg'), str(tmp_path / 'ann' / f'{name}.png'))
        for name in names
    ]


def test_processes_find_what_one_finds(tasks):
    alone = scan_all(tasks, workers=0)

    assert scan_all(tasks, workers=2) == alone
    assert list(alone) == tasks
    assert alone[tasks[3]].image.problem == 'empty'
    assert alone[tasks[5]].label.problem == 'unreadable'
    assert scan_all(tasks) == alone
    assert scan_all([], workers=2) == {}


def test_workers_import_little(tasks, monkeypatch):
    monkeypatch.setattr(module, 'scan_pair', in_workers.tell_imports)
    assert scan_all(tasks[:2], workers=2) == {tasks[0]: [], tasks[1]: []}


def test_killed_process_is_told(tasks, monkeypatch):
    monkeypatch.setattr(module, 'scan_pair', in_workers.kill_oneself)
    with pytest.raises(ChildProcessError, match='killed.*give fewer --workers'):
        scan_all(tasks, workers=2)


def test_negative_number_of_processes(tasks):
    with pytest.raises(ValueError, match='workers=-1; expected the number of processes'):
        scan_all(tasks, workers=-1)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_bar_is_for_terminals(tasks, monkeypatch):
    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, 'stderr', stream)
        scan_all(tasks, workers=0)
        assert ('/9 ' in stream.getvalue()) is shown


def test_memory_does_not_grow_with_the_images(tmp_path):
    side = 1000
    rng = np.random.default_rng(0)
    for i in range(8):
        path = str(tmp_path / f'{i}.png')
        cv2.imwrite(path, rng.integers(0, 256, (side, side, 3), np.uint8))
        cv2.imwrite(str(tmp_path / f'{i}_gt.png'), rng.integers(0, 9, (side, side), np.uint16))
    tasks = [PairTask(str(tmp_path / f'{i}.png'), str(tmp_path / f'{i}_gt.png')) for i in range(8)]
    peaks = []
    for few in (tasks[:2], tasks):
        tracemalloc.start()
        scans = scan_all(few, workers=0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < side * side / 10
    assert peaks[0] < 10 * side * side * 3
    assert max(len(pickle.dumps(scan)) for scan in scans.values()) < 2000
