"""Parts of pages: what they contain, that text stays text; how they look is for the browser."""

import base64
import re

import cv2
import numpy as np
import pytest

from msseg.reports.page import (
    Cell,
    Line,
    Page,
    cards,
    facts,
    legend,
    line_chart,
    matrix_map,
    picture,
    table,
)
from msseg.reports.page.bar_chart import histogram
from msseg.reports.page.line_chart import ticks
from msseg.reports.page.matrix import largest_confusions, row_shares


def test_a_page_is_one_file_with_its_style_and_script(tmp_path):
    page = Page('A <b>', 'and & so on')
    page.add('First part', '<p>body</p>', note='1 < 2')
    page.add('Second', '<p>more</p>')
    page.write(tmp_path / 'page.html')
    html = (tmp_path / 'page.html').read_text()
    assert '<h1>A &lt;b&gt;</h1><p>and &amp; so on</p>' in html
    assert 'href="#first-part"' in html and 'id="first-part"' in html
    assert '1 &lt; 2' in html
    assert not re.search(r'(src|href)="(?!#|data:)', html), 'it refers to another file'
    assert not re.search(r'@import|url\(', html)
    assert 'table.sortable' in html and 'addEventListener' in html


def test_text_stays_text_everywhere():
    evil = '<script>"x"</script>'
    shown = [
        cards([(evil, evil)]),
        facts([(evil, evil)]),
        legend([evil], [(1, 2, 3)]),
        table([evil], [[Cell(evil)]], 'name'),
        line_chart([Line(evil, [0, 1], [1, 2])], evil, evil),
        matrix_map(np.eye(2, dtype=np.int64), [evil, 'b']),
        matrix_map(np.eye(30, dtype=np.int64), [evil] * 30),
        picture(np.zeros((4, 4, 3), np.uint8), evil),
        histogram(np.array([0.5]), evil, evil),
    ]
    for html in shown:
        assert '<script' not in html
        assert '&lt;script&gt;' in html


def test_cells_carry_what_they_are_sorted_by():
    html = table(
        ['Class', 'IoU', 'Pixels'],
        [
            [Cell('road'), Cell.percent(0.98765), Cell.count(1234567)],
            [Cell('bus'), Cell.percent(float('nan')), Cell.count(0)],
        ],
        'classes',
    )
    assert '<th aria-sort="none"><button type="button">Class' in html
    assert '<th aria-sort="none" class="number"><button type="button">IoU' in html
    assert '<td class="number bar" data-value="0.98765" style="--share:98.8%">98.77</td>' in html
    assert '<td class="number" data-value="">n/a</td>' in html
    assert '<td class="number" data-value="1234567">1,234,567</td>' in html


def test_pictures_are_inside_the_page():
    image = np.random.default_rng(0).integers(0, 256, (60, 100, 3)).astype(np.uint8)
    html = picture(image, 'noise', lossless=True)
    data = base64.b64decode(re.search(r'base64,([^"]+)"', html)[1])
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), 1), image)
    assert 'data:image/jpeg' in picture(image, 'noise')
    assert 'width="50" height="30"' in picture(image, 'noise', longest=50)


@pytest.mark.parametrize(
    ('low', 'high', 'expected'),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 500, [0, 100, 200, 300, 400, 500]),
        (20, 160000, [0, 50000, 100000, 150000, 200000]),
        (-0.3, 0.9, [-0.5, -0.25, 0, 0.25, 0.5, 0.75, 1]),
        (3, 3, [2.6, 2.8, 3.0, 3.2, 3.4]),
    ],
)
def test_axes_have_round_numbers(low, high, expected):
    found = ticks(low, high)
    assert found[0] <= low and found[-1] >= high
    if low != high:
        assert found == pytest.approx(expected)


def test_lines_leave_out_what_has_no_value():
    html = line_chart([Line('loss', [0, 1, 2], [1.0, None, float('nan')])], 'iteration', 'loss')
    assert html.count('<circle') == 1
    assert 'nan' not in html.lower().replace('tenant', '')


def test_a_matrix_shows_shares_of_its_rows():
    matrix = np.array([[3, 1, 0], [0, 0, 0], [0, 1, 9999]])
    shares = row_shares(matrix)
    assert shares[0].tolist() == [0.75, 0.25, 0] and np.isnan(shares[1]).all()
    html = matrix_map(matrix, ['a', 'b', 'c'])
    assert re.findall('>([^<]*)</td>', html) == [
        '75.0', '25.0', '0.0', 'n/a', 'n/a', 'n/a', '0.0', '0.0', '100.0',
    ]  # fmt: skip
    assert 'nan' not in html
    assert 'title="a predicted as b: 1 pixels"' in html
    assert largest_confusions(np.array([[5, 2, 0], [7, 9, 0], [0, 0, 1]])) == [(1, 0), (0, 1)]


def test_a_large_matrix_is_a_picture():
    html = matrix_map(np.eye(150, dtype=np.int64), [f'class {i}' for i in range(150)])
    assert 'data-matrix=' in html and '<td' not in html


def test_of_a_large_matrix_rows_without_labels_are_grey():
    matrix = np.eye(150, dtype=np.int64)
    matrix[3] = 0
    data = base64.b64decode(re.search(r'base64,([^"]+)"', matrix_map(matrix, ['c'] * 150))[1])
    image = cv2.imdecode(np.frombuffer(data, np.uint8), 1)
    assert (image[3] == image[3, 0, 0]).all() and 100 < image[3, 0, 0] < 255
    assert (image[4] == 255).all(axis=1).sum() == 149


def test_a_histogram_counts():
    html = histogram(np.array([0.01, 0.02, 0.97, 1.0]), 'mIoU', 'images')
    assert '<title>0 to 5: 2 images</title>' in html
    assert '<title>95 to 100: 2 images</title>' in html
