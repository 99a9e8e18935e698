import json
import os

import cv2
import numpy as np
import pytest

from msseg.datasets import CustomDataset, EvalSample
from msseg.reports.comparisons import Comparisons
from msseg.reports.curves import (
    draw_curve,
    draw_runs,
    find_logs,
    log_coverage,
    read_log,
    run_places,
    time_table,
)
from tests.tiny import write_discs

META = {'seed': 1}
TRAIN = [{'mode': 'train', 'epoch': 1, 'iter': 10 * i, 'loss': 1.0 / i} for i in range(1, 6)]
VAL = [{'mode': 'val', 'epoch': 1, 'iter': 25 * i, 'mIoU': 0.3 * i, 'lr': 0.1} for i in (1, 2)]
ENTRIES = sorted([*TRAIN, *VAL], key=lambda entry: entry['iter'])


@pytest.fixture
def write_log(tmp_path):
    def write(entries):
        path = tmp_path / 'run.log.json'
        path.write_text(''.join(json.dumps(entry) + '\n' for entry in entries))
        return path

    return write


def test_log_is_split_into_training_and_evaluation(write_log):
    assert read_log(write_log([META, *ENTRIES])) == (TRAIN, VAL)


@pytest.mark.parametrize('images', [3, 35, 500])
def test_an_evaluation_that_mmcv_logged_with_its_number_of_images_gets_its_iteration(
    write_log, images
):
    val = [dict(VAL[0], iter=images) for _ in range(3)]
    log = [META, TRAIN[0], val[0], val[1], TRAIN[1], val[2], *TRAIN[2:]]
    if images == 35:  # the last one is possible between 20 and 40
        log = [*log[:6], *TRAIN[3:]]
    train, found = read_log(write_log(log))
    assert [entry['iter'] for entry in found] == [10, 10, 35 if images == 35 else 20]
    assert [entry['iter'] for entry in train][:2] == [10, 20]


def test_the_last_evaluation_of_mmcv_is_at_the_end(write_log):
    _, found = read_log(write_log([*TRAIN, dict(VAL[0], iter=3)]))
    assert found == [dict(VAL[0], iter=50)]


def test_line_that_a_killed_process_did_not_finish_is_left_out(write_log):
    path = write_log([META, *TRAIN])
    path.write_text(path.read_text() + '{"mode": "tra')
    assert read_log(path) == (TRAIN, [])


def test_curve_is_a_picture(write_log, tmp_path):
    out = tmp_path / 'new' / 'curve.png'
    draw_curve(write_log([META, *ENTRIES]), out)
    picture = cv2.imread(str(out))
    assert picture.shape[0] > 300
    # both lines are there: pure-blue-ish and orange-ish pixels on white
    assert (np.abs(picture.astype(int) - (180, 119, 31)).sum(-1) < 30).sum() > 200
    assert (np.abs(picture.astype(int) - (14, 127, 255)).sum(-1) < 30).sum() > 100


def test_curve_without_evaluation_shows_the_loss_alone(write_log, tmp_path):
    draw_curve(write_log([META, *TRAIN]), tmp_path / 'curve.png')
    picture = cv2.imread(str(tmp_path / 'curve.png'))
    assert (np.abs(picture.astype(int) - (14, 127, 255)).sum(-1) < 30).sum() == 0


def test_missing_scores_leave_gaps(write_log, tmp_path):
    val = [*VAL, {**VAL[0], 'iter': 60, 'mIoU': None}]
    draw_curve(write_log([*TRAIN, *val]), tmp_path / 'curve.png')
    assert (tmp_path / 'curve.png').stat().st_size > 1000


@pytest.mark.parametrize(
    ('entry', 'score', 'coverage'),
    [
        ({'mIoU': 1.0, 'IoU.a': 1.0, 'IoU.b': None, 'Acc.b': None}, 'mIoU', ' over 1 of 2 classes'),
        ({'mIoU': 1.0, 'IoU.a': 1.0, 'IoU.b': 0.0}, 'mIoU', ''),
        ({'0_mIoU': 1.0, '0_IoU.a': 1.0, '1_IoU.a': None}, '0_mIoU', ''),
        ({'1_mIoU': 1.0, '0_IoU.a': 1.0, '1_IoU.a': None}, '1_mIoU', ' over 0 of 1 classes'),
        ({'aAcc': 1.0, 'IoU.b': None}, 'aAcc', ''),
    ],
)
def test_a_mean_tells_over_how_many_classes_it_is(entry, score, coverage):
    assert log_coverage([entry], score) == coverage
    assert log_coverage([], score) == ''


def test_unknown_score_names_the_reported_ones(write_log, tmp_path):
    with pytest.raises(KeyError, match=r"reports no 'mDice', expected one of \['mIoU'\]"):
        draw_curve(write_log([*TRAIN, *VAL]), tmp_path / 'curve.png', score='mDice')
    assert not (tmp_path / 'curve.png').exists()


@pytest.mark.parametrize('text', ['not json\n', '[1, 2]\n'])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / 'run.log'
    path.write_text(text)
    with pytest.raises(ValueError, match=r'line 1 is .*, expected a JSON object'):
        read_log(path)


def test_run_without_entries_is_told(write_log):
    with pytest.raises(ValueError, match='holds no training entries'):
        read_log(write_log([META]))


def test_iterations_within_epochs_become_epochs():
    entries = [{'epoch': e, 'iter': i} for e in (1, 2) for i in (5, 10)]
    assert run_places(entries) == ([0.5, 1.0, 1.5, 2.0], 'epoch')


def test_iterations_counted_through_stay_iterations():
    entries = [{'epoch': e, 'iter': i} for e, i in ((1, 10), (2, 20), (2, 30))]
    assert run_places(entries) == ([10, 20, 30], 'iteration')


def test_comparisons_show_image_truth_and_prediction(tmp_path):
    write_discs(tmp_path, count=3)
    folders = {'img_dir': 'images', 'ann_dir': 'labels', 'data_root': str(tmp_path)}
    palette = ((0, 0, 0), (255, 200, 0))
    dataset = CustomDataset(
        [], **folders, img_suffix='.png', classes=('ground', 'disc'), palette=palette
    )
    pictures = Comparisons(tmp_path / 'out', dataset, opacity=1.0, limit=2)
    for index in range(3):
        name = f'disc_{index}.png'
        meta = {'filename': str(tmp_path / 'images' / name), 'ori_filename': name}
        truth = cv2.imread(str(tmp_path / 'labels' / name), cv2.IMREAD_UNCHANGED)
        pictures.add(EvalSample(index, [], [meta], truth), np.ones_like(truth))
    assert [path.name for path in pictures.written] == ['disc_0.png', 'disc_1.png']
    picture = cv2.imread(str(tmp_path / 'out' / 'disc_0.png'))[20:, :, ::-1]
    image, shown_truth, shown_prediction = picture[:, :64], picture[:, 68:132], picture[:, 136:]
    truth = cv2.imread(str(tmp_path / 'labels' / 'disc_0.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(
        image, cv2.imread(str(tmp_path / 'images' / 'disc_0.png'))[..., ::-1]
    )
    assert (shown_truth[truth == 1] == palette[1]).all()
    assert (shown_truth[truth == 0] == palette[0]).all()
    assert (shown_prediction == palette[1]).all()


@pytest.mark.parametrize('draw', [draw_curve, lambda log, out: draw_runs({'run': log}, out)])
def test_a_curve_replaces_no_config_or_checkpoint(write_log, tmp_path, draw):
    out = tmp_path / 'mine.py'
    out.write_text('model = dict()')
    with pytest.raises(FileExistsError, match=r"mine\.py' is there already and is no \.png file"):
        draw(write_log([META, *ENTRIES]), out)
    assert out.read_text() == 'model = dict()'


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
