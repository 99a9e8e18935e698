import json
import os

import cv2
import numpy as np
import pytest

from msseg.reports.compare_runs import draw_runs, find_logs, time_table


def write_run(folder, scale=1.0, val=True, name='a'):
    folder.mkdir(parents=True, exist_ok=True)
    train = [
        {'mode': 'train', 'epoch': 1, 'iter': 10 * i, 'loss': scale / i, 'lr': 0.1,
         'memory': 100 + i, 'time': 9.0 if i == 1 else 0.1 * i, 'data_time': 0.025 * i}
        for i in range(1, 6)
    ]  # fmt: skip
    scores = [{'mode': 'val', 'epoch': 1, 'iter': 50, 'lr': 0.1, 'mIoU': 0.5 * scale}]
    lines = [{'seed': 1}, *train, *(scores if val else [])]
    path = folder / f'{name}.log.json'
    path.write_text(''.join(json.dumps(line) + '\n' for line in lines))
    return path


def test_logs_are_named_after_their_folders(tmp_path):
    first, second = write_run(tmp_path / 'one'), write_run(tmp_path / 'two')
    newer = write_run(tmp_path / 'two', name='b')
    os.utime(newer, (2e9, 2e9))
    assert find_logs([first, tmp_path / 'two']) == {'one': first, 'two': newer}
    assert find_logs([second, newer]) == {'two/a': second, 'two/b': newer}


def test_a_folder_without_a_log_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'has no log \(\*\.log\.json\)'):
        find_logs([tmp_path])


def colours_in(path):
    picture = cv2.imread(str(path)).astype(int)
    blue, orange = (180, 119, 31), (14, 127, 255)
    return [(np.abs(picture - colour).sum(-1) < 30).sum() for colour in (blue, orange)]


def test_every_run_is_drawn(tmp_path):
    logs = find_logs([write_run(tmp_path / 'one'), write_run(tmp_path / 'two', 2.0)])
    draw_runs(logs, tmp_path / 'new' / 'runs.png')
    assert min(colours_in(tmp_path / 'new' / 'runs.png')) > 200
    wide = cv2.imread(str(tmp_path / 'new' / 'runs.png')).shape[1]
    draw_runs({'one': write_run(tmp_path / 'one', val=False)}, tmp_path / 'train.png',
              keys=['loss', 'lr'])  # fmt: skip
    assert cv2.imread(str(tmp_path / 'train.png')).shape[1] < wide
    assert colours_in(tmp_path / 'train.png')[0] > 200


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'keys': ['los']}, r"no run reports 'los', expected some of \[.*'loss'"),
        ({'score': 'mDice'}, r"no run reports 'mDice', expected some of \['mIoU'\]"),
    ],
)
def test_unknown_values_are_told(tmp_path, options, message):
    logs = find_logs([write_run(tmp_path / 'one')])
    with pytest.raises(KeyError, match=message):
        draw_runs(logs, tmp_path / 'runs.png', **options)
    assert not (tmp_path / 'runs.png').exists()


def test_times_leave_out_the_interval_that_compiled(tmp_path):
    row = next(line for line in time_table(find_logs([write_run(tmp_path / 'one')])).splitlines()
               if '| one' in line)  # fmt: skip
    cells = [cell.strip() for cell in row.strip('|').split('|')]
    assert cells == [
        'one', '5', '0.350', '0.350', '0.485', '0.500 (50)', '25.0 %', '105', '0.2000'
    ]  # fmt: skip


def test_runs_that_logged_no_time_say_so(tmp_path):
    path = tmp_path / 'a.log.json'
    path.write_text(json.dumps({'mode': 'train', 'epoch': 1, 'iter': 1, 'loss': None}))
    assert 'n/a |' in time_table({'run': path})
