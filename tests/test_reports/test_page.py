"""Parts of pages: what they contain, that text stays text; how they look is for the browser."""

import base64
import re

import cv2
import numpy as np

from msseg.reports.curves import Line, histogram, line_chart
from msseg.reports.page import (
    Cell,
    Page,
    largest_confusions,
    matrix_map,
    parts,
    picture,
    row_shares,
)


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
        parts().cards([(evil, evil)]),
        parts().facts([(evil, evil)]),
        parts().legend([evil], [(1, 2, 3)]),
        parts().table([evil], [[Cell(evil)]], 'name'),
        parts().sample(evil, [evil], [picture(np.zeros((4, 4, 3), np.uint8), evil, title=evil)]),
        line_chart([Line(evil, [0, 1], [1, 2])], evil, evil),
        matrix_map(np.eye(2, dtype=np.int64), [evil, 'b']),
        matrix_map(np.eye(30, dtype=np.int64), [evil] * 30),
        histogram(np.array([0.5]), evil, evil),
    ]
    for html in shown:
        assert '<script' not in html
        assert '&lt;script&gt;' in html


def test_cells_carry_what_they_are_sorted_by():
    html = parts().table(
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
    html = parts().picture(picture(image, 'noise', lossless=True))
    data = base64.b64decode(re.search(r'base64,([^"]+)"', html)[1])
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), 1), image)
    assert picture(image, 'noise').source.startswith('data:image/jpeg')
    small = parts().picture(picture(image, 'noise', longest=50))
    assert 'width="50" height="30"' in small


def test_lines_leave_out_what_has_no_value():
    html = line_chart([Line('loss', [0, 1, 2], [1.0, None, float('nan')])], 'iteration', 'loss')
    assert re.findall('<title>(.*?)</title>', html) == ['loss 1 at 0']
    assert 'nan' not in html.lower()


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
