"""The page on a test, from predictions made up here."""

import csv
import json
import math

import cv2
import numpy as np
import pytest

from msseg.config import Config
from msseg.datasets import EvalLoader, build_dataset
from msseg.evaluation import compute_scores
from msseg.reports.evaluation_report import (
    EvaluationReport,
    choose_shown,
    error_background,
    error_map,
    find_log,
)
from msseg.reports.image_scores import ImageScores
from tests.tiny import write_config, write_discs

COUNT = 8


class Guesses:
    """Predicts the truth, spoilt the more the later the image."""

    def __init__(self, dataset):
        self.dataset = dataset

    def labels(self, imgs, metas):
        name = metas[0]['ori_filename']
        index = [info['filename'] for info in self.dataset.img_infos].index(name)
        return self.of(index)

    def of(self, index):
        label = self.dataset.get_gt_seg_map(index)
        guess = np.where(label == 255, 1, label).astype(np.int32)
        guess[10 : 10 + 4 * index] = 1 - guess[10 : 10 + 4 * index]
        return guess


@pytest.fixture(scope='module')
def tested(tmp_path_factory):
    """A written report: its folder, the report and who predicted."""
    folder = tmp_path_factory.mktemp('report')
    config = write_config(folder, write_discs(folder, count=COUNT))
    # one image has no labelled pixel at all
    blank = np.full((48, 64), 255, np.uint8)
    cv2.imwrite(str(folder / 'labels' / 'disc_7.png'), blank)
    cfg = Config.fromfile(config)
    dataset = build_dataset(cfg.data.test, {'test_mode': True})
    (folder / 'run').mkdir()
    log = [
        {'seed': 1},
        *({'mode': 'train', 'epoch': 1, 'iter': i, 'loss': 1 / i} for i in range(10, 60, 10)),
        *({'mode': 'val', 'epoch': 1, 'iter': i, 'mIoU': i / 60, 'lr': 1} for i in (25, 50)),
    ]
    lines = ''.join(json.dumps(entry) + '\n' for entry in log)
    (folder / 'run' / 'a.log.json').write_text(lines)
    report = EvaluationReport(folder / 'out', dataset, cfg, folder / 'run' / 'iter_50.ckpt')
    guesses = Guesses(dataset)
    for sample in EvalLoader(dataset, 0):
        report.add(sample, guesses.of(sample.index))
    report.gather()
    report.write(guesses)
    return folder / 'out', report, guesses


def test_the_page_warns_of_classes_without_a_pixel(tested, tmp_path):
    folder, report, guesses = tested
    dataset = build_dataset(
        {**report.cfg.data.test, 'label_map': {1: 255}, 'num_samples': 2}, {'test_mode': True}
    )
    assert 'no labelled pixel' not in (folder / 'report.html').read_text()
    partial = EvaluationReport(tmp_path / 'out', dataset, report.cfg, tmp_path / 'none.ckpt')
    for sample in EvalLoader(dataset, 0):
        partial.add(sample, guesses.of(sample.index))
    partial.gather()
    partial.write(guesses)
    page = (tmp_path / 'out' / 'report.html').read_text()
    assert 'The scores are over 1 of 2 classes: disc has no labelled pixel.' in page


def truth_and_guess(tested, index):
    dataset = tested[1].dataset
    return dataset.get_gt_seg_map(index), tested[2].of(index)


def test_each_image_is_scored_as_if_it_were_alone(tested):
    images = tested[1].images
    total = np.zeros((2, 2), np.int64)
    for index in range(COUNT):
        label, guess = truth_and_guess(tested, index)
        matrix = np.array([
            [((label == i) & (guess == j)).sum() for j in range(2)] for i in range(2)
        ])  # fmt: skip
        total += matrix
        if index == 7:
            assert math.isnan(images.mean_iou()[7]) and math.isnan(images.accuracy()[7])
            continue
        scores = compute_scores(matrix, ('ground', 'disc'))
        np.testing.assert_allclose(images.iou()[index], scores.per_class['IoU'])
        assert images.mean_iou()[index] == pytest.approx(scores.summary()['mIoU'])
        assert images.accuracy()[index] == pytest.approx(scores.overall_accuracy)
    np.testing.assert_array_equal(images.matrix, total)
    assert images.ranking() == [6, 5, 4, 3, 2, 1, 0]


def test_the_table_has_a_line_for_each_image(tested):
    folder, report, _ = tested
    lines = list(csv.DictReader((folder / 'images.csv').open()))
    assert list(lines[0]) == ['image', 'mIoU', 'aAcc', 'pixels', 'IoU.ground', 'IoU.disc']
    assert [line['image'] for line in lines] == [report.images.path(i) for i in range(COUNT)]
    assert float(lines[3]['mIoU']) == pytest.approx(report.images.mean_iou()[3], abs=1e-6)
    assert lines[0]['mIoU'] == '1.000000'
    assert lines[7]['mIoU'] == '' and lines[7]['pixels'] == '0'
    assert int(lines[0]['pixels']) == 46 * 64


def test_the_page_says_everything(tested):
    folder, report, _ = tested
    html = (folder / 'report.html').read_text()
    scores = compute_scores(report.images.matrix, ('ground', 'disc'))
    for text in (
        f'tiny: mIoU {100 * scores.summary()["mIoU"]:.2f}',
        f'{100 * scores.per_class["IoU"][1]:.2f}',
        f'{100 * scores.per_class["Acc"][0]:.2f}',
        'iter_50.ckpt',
        'From a.log.json.',
        'training loss',
        'validation mIoU',
        '<h3>Worst</h3>',
        '<h3>Median</h3>',
        '<h3>Best</h3>',
        'ground predicted as disc',
        'disc_6.png',
    ):
        assert text in html, text
    assert html.count('<div class="sample">') == 6  # two of each among seven
    assert html.count('<img ') == 24


def test_a_report_without_a_log_has_no_curves(tested, tmp_path):
    _, report, guesses = tested
    other = EvaluationReport(tmp_path / 'out', report.dataset, report.cfg, tmp_path / 'a.ckpt')
    for sample in EvalLoader(report.dataset, 0):
        other.add(sample, guesses.of(sample.index))
    (tmp_path / 'empty.log.json').write_text('{"seed": 1}\n')
    for log in (None, tmp_path / 'empty.log.json'):
        other.log = log
        other.write(guesses)
        assert '<h2>Training</h2>' not in (tmp_path / 'out' / 'report.html').read_text()


def test_a_data_set_without_labels_cannot_be_reported(tested):
    dataset = build_dataset({**tested[1].cfg.data.test, 'ann_dir': None}, {'test_mode': True})
    with pytest.raises(FileNotFoundError, match='label'):
        ImageScores(dataset)


def test_the_log_is_the_newest_beside_the_checkpoint_or_in_the_work_dir(tmp_path):
    for folder in ('a', 'b', 'c'):
        (tmp_path / folder).mkdir()
    folders = [tmp_path / 'a', tmp_path / 'b']
    assert find_log(folders) is None
    (tmp_path / 'b' / '1.log.json').touch()
    assert find_log(folders) == tmp_path / 'b' / '1.log.json'
    (tmp_path / 'a' / '2.log.json').touch()
    assert find_log(folders) == tmp_path / 'a' / '2.log.json'


@pytest.mark.parametrize('count', range(12))
def test_no_image_is_shown_twice(count):
    groups = choose_shown(range(count))
    shown = [index for _, indices in groups for index in indices]
    assert len(shown) == len(set(shown)) == min(count, 3 * max(min(count // 3, 3), 1))
    for title, indices in groups:
        assert indices, title
    if count >= 9:
        assert groups == [
            ('Worst', [0, 1, 2]),
            ('Median', [*range((count - 3 + 1) // 2, (count - 3 + 1) // 2 + 3)]),
            ('Best', [count - 1, count - 2, count - 3]),
        ]


def test_missed_and_false_pixels_have_colours_of_their_own():
    prediction, label = np.array([[0, 1, 1, 0, 2, 1, 2]]), np.array([[0, 0, 255, 1, 1, 1, 0]])
    picture = error_map(prediction, label, 255, background=0)[0].tolist()
    right, false, ignored, missed, confused, _, _ = picture
    assert false[2] > 200 > 100 > false[0]  # red
    assert missed[0] > 150 > 50 > missed[2]  # blue
    assert confused not in (false, missed, right, ignored)
    assert picture[5:] == [right, false]
    assert min(right) > 180
    assert ignored[0] == ignored[1] == ignored[2]
    # seen from the other class, the two change places
    assert error_map(prediction, label, 255, background=1)[0, 3].tolist() == false
    nothing = error_map(prediction, label, 255, background=None)[0].tolist()
    assert nothing == [right, confused, ignored, confused, confused, right, confused]


def test_errors_are_seen_from_the_background():
    assert error_background(['cell', 'Background']) == 1
    assert error_background(['ground', 'disc']) == 0
    assert error_background(['road', 'car', 'sky']) is None


# ------------------------------------------------------------------------ in a browser


def column(browser, table, number):
    return browser.run(
        f'[...document.querySelectorAll("#{table} tbody tr")].map(r => r.cells[{number}].innerText)'
    )


def click(browser, table, number):
    browser.run(f'document.querySelectorAll("#{table} th button")[{number}].click()')
    return browser.run(f'document.querySelectorAll("#{table} th")[{number}].ariaSort')


def test_the_page_works_in_a_browser(tested, browser):
    folder, report, _ = tested
    browser.open(folder / 'report.html')
    assert browser.run('document.title').startswith('tiny: mIoU ')
    before = column(browser, 'images', 1)
    ranked = [f'{100 * report.images.mean_iou()[i]:.2f}' for i in report.images.ranking()]
    assert before == ranked
    assert click(browser, 'images', 1) == 'descending'
    assert column(browser, 'images', 1) == ranked[::-1]
    assert column(browser, 'images', 0)[0] == 'disc_0.png'
    assert click(browser, 'images', 1) == 'ascending'
    assert column(browser, 'images', 1) == ranked
    assert click(browser, 'images', 0) == 'ascending'
    assert column(browser, 'images', 0) == [f'disc_{i}.png' for i in range(7)]
    assert click(browser, 'classes', 0) == 'ascending'
    assert column(browser, 'classes', 0) == ['disc', 'ground']
    # every picture is there, and a click enlarges
    widths = browser.run('[...document.images].map(i => i.naturalWidth)')
    assert len(widths) == 24 and min(widths) == 64
    browser.run('document.querySelector(".panels img").click()')
    assert browser.run('document.querySelectorAll("img.large").length') == 1
    browser.run('document.dispatchEvent(new KeyboardEvent("keydown", {key: "Escape"}))')
    assert browser.run('document.querySelectorAll("img.large").length') == 0
    # nothing sticks out to the right
    assert browser.run('document.documentElement.scrollWidth <= innerWidth')
    assert browser.requests == []
    assert browser.complaints == []


def test_the_browser_would_tell_of_requests_and_errors(browser, tmp_path):
    (tmp_path / 'bad.html').write_text(
        '<img src="absent.png"><script>console.error("oh"); throw new Error("no")</script>'
    )
    browser.open(tmp_path / 'bad.html')
    assert any(address.endswith('absent.png') for address in browser.requests)
    assert any('oh' in text for text in browser.complaints)
    assert any('Error: no' in text for text in browser.complaints)


def test_a_matrix_of_many_classes_tells_its_cells(browser, tmp_path):
    from msseg.reports.page import Page, matrix_map

    matrix = np.zeros((40, 40), np.int64)
    matrix[3, 5], matrix[3, 3] = 1, 3
    page = Page('matrix')
    page.add('Confusion', matrix_map(matrix, [f'class {i}' for i in range(40)]))
    page.write(tmp_path / 'matrix.html')
    browser.requests.clear()
    browser.complaints.clear()
    browser.open(tmp_path / 'matrix.html')
    said = browser.run(
        '(() => { const i = document.images[0], b = i.getBoundingClientRect();'
        'i.dispatchEvent(new MouseEvent("mousemove", {clientX: b.left + b.width * 5.5 / 40,'
        'clientY: b.top + b.height * 3.5 / 40}));'
        'return document.querySelector("figcaption").textContent; })()'
    )
    assert said == 'class 3 predicted as class 5: 1 pixels, 25.00 %'
    assert browser.requests == browser.complaints == []
