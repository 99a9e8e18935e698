"""Images that one, two or three processes test between them are counted alike, on the page too."""

import csv
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from msseg.evaluation import compute_scores, confusion_matrix
from tests.many_processes import ManyRun
from tests.tiny import write_config, write_discs

CLASSES = ('ground', 'disc')
IMAGES = 11  # neither two nor three processes have as many each
COUNTS = (0, 1, 2, 3)  # 0: tools/test.py by itself
MORE = """
runner = dict(type='IterBasedRunner', max_iters=60)
checkpoint_config = dict(interval=60, by_epoch=False)
"""


@pytest.fixture(scope='module')
def tested(tmp_path_factory):
    """The folder of a small OCRNet's run that was tested in as many processes as `COUNTS` says."""
    run = ManyRun(tmp_path_factory.mktemp('tested'))
    data = write_discs(run.folder / 'discs', IMAGES)
    for index in range(0, IMAGES, 3):  # images are not all of one size
        for kind in ('images', 'labels'):
            path = str(data / kind / f'disc_{index}.png')
            cv2.imwrite(path, cv2.imread(path, cv2.IMREAD_UNCHANGED)[: 40 + index])
    run.config = write_config(run.folder, data, MORE)
    try:
        options = ['--work-dir', 'run', '--no-validate']
        assert run.start(0, *options).wait(300) == 0, run.output
        for count in COUNTS:
            out = run.folder / f'by_{count}'
            process = run.start_test(
                count, run.folder / 'run' / 'iter_60.ckpt', '--eval', 'mIoU', 'mDice',
                '--work-dir', out, '--out', out / 'labels.npz', '--report', out / 'report',
            )  # fmt: skip
            assert process.wait(300) == 0, run.output
            assert run.output.count('| disc ') == 1  # one of the processes prints
    finally:
        run.end()
    return run.folder


def matrix_of(page):
    """Read the confusion matrix of a report, int64 (K, K)."""
    cell = r'title="(\w+) predicted as (\w+): ([\d,]+) pixels"'
    matrix = np.full((len(CLASSES), len(CLASSES)), -1, np.int64)
    for label, predicted, pixels in re.findall(cell, page):
        place = CLASSES.index(label), CLASSES.index(predicted)
        matrix[place] = int(pixels.replace(',', ''))
    return matrix


def counted_by_hand(folder, count):
    """Count the label maps that were written."""
    total = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
    maps = np.load(folder / f'by_{count}' / 'labels.npz')
    assert maps.files == [f'disc_{index}' for index in sorted(range(IMAGES), key=str)]
    for name in maps.files:
        path = folder / 'discs' / 'labels' / f'{name}.png'
        label = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        total += confusion_matrix(maps[name], label, len(CLASSES), 255)
    return total


@pytest.mark.parametrize('count', COUNTS)
def test_confusion_matrix_is_that_of_every_image_once(tested, count):
    expected = counted_by_hand(tested, 0)
    assert (expected > 0).all(), 'there are right and wrong pixels of both classes'
    np.testing.assert_array_equal(counted_by_hand(tested, count), expected)
    page = (tested / f'by_{count}' / 'report' / 'report.html').read_text()
    np.testing.assert_array_equal(matrix_of(page), expected)
    (file,) = (tested / f'by_{count}').glob('eval_*.json')
    scores = json.loads(file.read_text())['metric']
    assert scores == compute_scores(expected, CLASSES, ['mIoU', 'mDice']).as_dict()


@pytest.mark.parametrize('count', COUNTS[1:])
def test_report_has_every_image_once(tested, count):
    alone, shared = (tested / f'by_{number}' / 'report' for number in (0, count))
    assert {path.name for path in shared.iterdir()} == {'report.html', 'images.csv'}
    assert (shared / 'images.csv').read_text() == (alone / 'images.csv').read_text()
    lines = list(csv.DictReader((shared / 'images.csv').open()))
    names = sorted(f'disc_{index}.png' for index in range(IMAGES))
    assert sorted(Path(line['image']).name for line in lines) == names
    pages = [pictures_of(folder / 'report.html') for folder in (alone, shared)]
    assert pages[0] == pages[1]
    assert len(pages[0]) > 12


def pictures_of(page):
    """The embedded pictures of a page, which are of the images shown and of their predictions."""
    return re.findall(r'src="(data:image/[^"]+)"', page.read_text())
