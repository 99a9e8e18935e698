"""What tools show on a terminal, and what they write where there is none."""

import os
import pty
import re
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from tests.small_run import LONG, ROOT, SmallRun

CONTROL = re.compile(r'[^\S \t\n]|[\x00-\x08\x0e-\x1f\x7f]')


def on_terminal(run, tool, *arguments):
    """Run a tool on a terminal; return its status, its output, and when the first line came."""
    started, first, chunks = time.monotonic(), None, []
    terminal, other_side = pty.openpty()
    command = [sys.executable, ROOT / 'tools' / tool, run.config, *arguments, '--device', 'CPU']
    process = subprocess.Popen(
        [str(part) for part in command],
        env={**os.environ, 'PYTHONPATH': f'{ROOT}:{run.folder}', 'OMP_NUM_THREADS': '1'},
        stdin=other_side,
        stdout=other_side,
        stderr=other_side,
        start_new_session=True,
    )
    os.close(other_side)
    while True:
        try:
            chunk = os.read(terminal, 4096)
        except OSError:  # what Linux gives when the other side is closed
            break
        if not chunk:
            break
        chunks.append(chunk)
        if first is None and b'\n' in chunk:
            first = time.monotonic() - started
    os.close(terminal)
    return process.wait(60), b''.join(chunks).decode().replace('\r\n', '\n'), first


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    run = SmallRun(
        tmp_path_factory.mktemp('terminal'),
        LONG.replace('400', '60').replace('300', '60')
        + 'log_config["interval"] = 40\nevaluation["interval"] = 60\n'
        "data['test'] = data['val']\n",
    )
    return run, on_terminal(run, 'train.py', '--work-dir', run.work_dir, '--seed', 0)


def test_training_on_a_terminal(trained):
    run, (status, shown, first) = trained
    assert status == 0, shown
    assert first < 3
    assert shown.startswith('msseg ') and f'training {run.config}\n' in shown
    before = shown[: shown.index('Iter [40/60]')]
    assert before.count('\n') <= 15, before
    assert before.count('Compiling the network; the first step takes') == 1
    assert 'model = dict(' not in shown
    bars = re.findall(r'\rtraining +\d+%\|.*?\| (\d+)/60 \[.*?left', shown)
    assert bars and 1 < int(bars[-1]) <= 60
    assert re.search(r'\revaluating: +\d+%.*/6 ', shown)
    # nothing of a bar is left in a line of the log
    for line in shown.split('\n'):
        if 'msseg - INFO' in line:
            assert re.match(r'20\d\d-\d\d-\d\d ', line.rpartition('\r')[2]), line


def test_log_file_holds_the_config_and_no_control_characters(trained):
    run, _ = trained
    (log,) = run.work_dir.glob('*.log')
    written = log.read_text()
    assert 'model = dict(\n' in written and 'Iter [40/60]' in written
    assert not CONTROL.search(written)


def test_testing_and_labelling_on_a_terminal(trained):
    run, _ = trained
    checkpoint = run.work_dir / 'iter_60.ckpt'
    status, shown, first = on_terminal(run, 'test.py', checkpoint, '--eval', 'mIoU')
    assert status == 0 and first < 3, shown
    assert f'testing {checkpoint}\n' in shown
    assert shown.count('Compiling the network for prediction') == 1
    assert re.search(r'\revaluating: +\d+%.*/6 ', shown) and 'Summary' in shown
    out = run.folder / 'labelled'
    status, shown, first = on_terminal(
        run, 'predict.py', checkpoint, run.data / 'images', '--out', out
    )
    assert status == 0 and first < 3, shown
    assert f'labelling with {checkpoint}\n' in shown
    assert shown.count('Compiling the network for prediction') == 1
    assert re.search(r'\r +\d+%\|.*/6 ', shown)
    assert shown.endswith(f'labelled 6 of 6, results in {out}\n')


def test_training_into_a_file_writes_lines_only(trained):
    run, _ = trained
    assert run.train('--cfg-options', 'runner.max_iters=2', '--print-config') == 0, run.output
    assert not CONTROL.search(run.output)
    assert 'Compiling the network; the first step takes' in run.output
    assert 'model = dict(\n' in run.output  # asked for
    assert re.match(r'20\d\d-\d\d-\d\d \d\d:\d\d:\d\d,\d+ - msseg - WARNING - ', run.output)
    assert 'holds checkpoints of an earlier run' in run.output.splitlines()[0]
    assert ' - msseg - INFO - msseg 0.' in run.output


def test_damaged_images_are_told_in_a_line_each_and_by_no_library(trained, tmp_path):
    run, _ = trained
    picture = np.full((48, 64, 3), 90, np.uint8)
    for suffix, keep in (('.bmp', 200), ('.png', None)):
        data = bytearray(cv2.imencode(suffix, picture)[1].tobytes())
        data[len(data) // 2] ^= 0x55
        (tmp_path / f'image{suffix}').write_bytes(data[:keep])
    ended = subprocess.run(
        [sys.executable, ROOT / 'tools' / 'predict.py', run.config, run.work_dir / 'iter_60.ckpt',
         tmp_path, '--out', tmp_path / 'out', '--device', 'CPU'],
        env={**os.environ, 'PYTHONPATH': f'{ROOT}:{run.folder}'},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert ended.returncode == 1
    starts = [line.split(':')[0] for line in ended.stderr.splitlines()]
    assert starts == ['skipped', 'skipped', 'error'], ended.stderr
