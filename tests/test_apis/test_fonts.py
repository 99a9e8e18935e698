"""Names in scripts that no installed font has, and a small font that is made here for them."""

import logging
import warnings

import cv2
import matplotlib
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager

from msseg.apis import fonts
from msseg.apis.legend import _text_mask, draw_legend
from msseg.apis.visualize import OverlayStyle
from msseg.reports.confusion_picture import draw_confusion

# letters of a script that no font of a usual system has: Linear A
NAMES = ('\U00010600\U00010601', '\U00010602')


@pytest.fixture(autouse=True)
def without_memory():
    known = list(font_manager.fontManager.ttflist)
    yield
    font_manager.fontManager.ttflist[:] = known
    for cached in (fonts._find_fonts, fonts._warn, _text_mask, draw_legend):
        cached.cache_clear()


def write_font(path, characters, family='Minoan'):
    """A font whose glyphs are filled squares."""
    builder = FontBuilder(1000, isTTF=True)
    glyphs = ['.notdef', *(f'u{ord(c):X}' for c in characters)]
    builder.setupGlyphOrder(glyphs)
    builder.setupCharacterMap({ord(c): f'u{ord(c):X}' for c in characters})
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for corner in ((100, 700), (800, 700), (800, 0)):
        pen.lineTo(corner)
    pen.closePath()
    square = pen.glyph()
    builder.setupGlyf(dict.fromkeys(glyphs, square))
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (900, 100)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({'familyName': family, 'styleName': 'Regular'})
    builder.setupOS2(sTypoAscender=800, usWinAscent=800, usWinDescent=200)
    builder.setupPost()
    builder.save(path)


def test_without_a_font_numbers_stand_for_names_and_one_line_says_so(caplog, tmp_path):
    for _ in range(2):
        assert fonts.drawable_names(['road', *NAMES, 'Straße']) == [
            'road', 'class 1', 'class 2', 'Straße',
        ]  # fmt: skip
    (line,) = [record.message for record in caplog.records]
    assert f"no installed font can draw '{NAMES[0]}', '{NAMES[1]}'" in line
    assert 'fonts-noto-cjk' in line
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        draw_confusion(np.eye(2), NAMES, tmp_path / 'a.png')
        OverlayStyle(NAMES, [[1, 2, 3]] * 2).legend((50, 90))


def test_an_installed_font_is_found_also_if_matplotlib_has_not_listed_it(
    tmp_path, monkeypatch, caplog
):
    write_font(tmp_path / 'minoan.ttf', set(''.join(NAMES)))
    (tmp_path / 'broken.ttf').write_text('no font')
    files = [str(tmp_path / 'broken.ttf'), str(tmp_path / 'minoan.ttf')]
    monkeypatch.setattr(font_manager, 'findSystemFonts', lambda: files)
    assert fonts.drawable_names(['road', *NAMES]) == ['road', *NAMES]
    assert not caplog.records
    mixed = f'{NAMES[1]} a'
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        draw_confusion(np.eye(2), NAMES, tmp_path / 'a.png')
        with fonts.fonts_for([mixed]):
            assert matplotlib.rcParams['font.family'][-1] == 'Minoan'
        mask = _text_mask(mixed, 40)
    assert (mask == 255).sum() > 600  # the square is filled, unlike a missing glyph's box
    assert 'Minoan' not in matplotlib.rcParams['font.family']


def test_a_font_of_boxes_does_not_count(tmp_path, monkeypatch):
    write_font(tmp_path / 'boxes.ttf', set(''.join(NAMES)), 'LastResort')
    monkeypatch.setattr(font_manager, 'findSystemFonts', lambda: [str(tmp_path / 'boxes.ttf')])
    assert fonts.drawable_names(NAMES) == ['class 0', 'class 1']


def test_names_are_drawn_as_they_are(tmp_path):
    assert fonts.drawable_names(['a\nb', 'x\u200by', '\x07', '  ']) == [
        'a b', 'xy', 'class 2', 'class 3',
    ]  # fmt: skip
    # no formula: neither an error for half of one, nor the dollars left away
    draw_confusion(np.eye(2), ['a$_b', r'$\frac$'], tmp_path / 'a.png')
    assert _text_mask('$a$', 40).shape[1] > _text_mask('a', 40).shape[1] + 20


def test_the_log_line_is_a_warning(caplog):
    with caplog.at_level(logging.INFO):
        fonts.drawable_names(NAMES, 'run')
    assert [record.levelname for record in caplog.records] == ['WARNING']
    assert '"run 0"' in caplog.text


def test_zeros_are_drawn_and_rows_without_labels_are_not_available(tmp_path, monkeypatch):
    drawn = []
    text = matplotlib.axes.Axes.text
    monkeypatch.setattr(
        matplotlib.axes.Axes, 'text',
        lambda axes, x, y, s, **options: drawn.append(s) or text(axes, x, y, s, **options),
    )  # fmt: skip
    draw_confusion(np.array([[3, 1, 0], [0, 0, 0], [0, 5, 0]]), 'abc', tmp_path / 'a.png')
    assert drawn == ['75.0', '25.0', '0.0', 'n/a', 'n/a', 'n/a', '0.0', '100.0', '0.0']
    assert cv2.imread(str(tmp_path / 'a.png')) is not None
