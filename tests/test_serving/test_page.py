"""The page, in a real browser: what a user does with it and sees."""

import cv2
import numpy as np
import pytest

from msseg.deploy import Predictor

RESULT = '!document.getElementById("result").hidden'
STATUS = 'document.getElementById("status").textContent'
ERROR = '(e => e.hidden ? "" : e.textContent)(document.getElementById("error"))'
LEGEND = '[...document.querySelectorAll("#legend tr")].map(r => [...r.cells].map(c => c.innerText))'


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('uploads')
    image = np.full((48, 64, 3), (140, 120, 100), np.uint8)  # BGR: both logits are 0
    image[:, :32] = (20, 120, 220)  # reddish: earth
    image[:, 32:] = (20, 250, 60)  # greenish: plate
    cv2.imwrite(str(folder / 'street.png'), image)
    cv2.imwrite(str(folder / 'large.png'), np.zeros((100, 100, 3), np.uint8))
    (folder / 'notes.txt').write_text('no image')
    (folder / 'huge.png').write_bytes(bytes(100_001))
    return folder


@pytest.fixture
def page(served, browser):
    browser.requests.clear()
    browser.complaints.clear()
    browser.open(f'{served.address}/')
    browser.wait_for('document.title === "a.onnx"')
    yield browser
    browser.sort()
    # nothing is asked of other hosts, whatever was done
    own = (f'{served.address}/', f'blob:{served.address}/')
    assert [url for url in browser.requests if not url.startswith(own)] == []


def upload(page, path):
    page.choose_file('#file', path)
    page.wait_for(f'({STATUS}.includes("labelled in") || {ERROR} !== "")')


def pixel(page, canvas, x, y):
    return page.run(
        f'[...document.getElementById("{canvas}").getContext("2d").getImageData({x},{y},1,1).data]'
    )


def test_an_upload_is_drawn_with_overlay_legend_and_probabilities(page, files, served):
    upload(page, files / 'street.png')
    assert page.run(RESULT) and page.run(ERROR) == ''
    assert '64 × 48 pixels, labelled in' in page.run(STATUS)
    predictor = Predictor(served.log.parent / 'a.onnx')
    image = cv2.imread(str(files / 'street.png'))
    plates = int(predictor(image).sum())
    assert 1000 < plates < 2000
    rows = [('plate', plates), ('earth', 3072 - plates)]
    rows = sorted(rows, key=lambda row: -row[1])
    expected = [[name, f'{count:,}', f'{100 * count / 3072:.2f} %'] for name, count in rows]
    assert page.run(LEGEND) == expected
    assert pixel(page, 'overlay', 5, 5) == [1, 2, 3, 255]
    assert pixel(page, 'overlay', 60, 40) == [200, 100, 0, 255]
    assert page.run('getComputedStyle(document.getElementById("overlay")).opacity') == '0.5'
    # the overlay covers the picture exactly, and the slider changes its opacity
    boxes = page.run(
        '["picture", "overlay"].map(i => document.getElementById(i).getBoundingClientRect())'
        '.map(b => [b.left, b.top, b.width, b.height].map(Math.round))'
    )
    assert boxes[0] == boxes[1]
    page.run('(s => { s.value = 20; s.dispatchEvent(new Event("input")); })'
             '(document.getElementById("opacity"))')  # fmt: skip
    assert page.run('getComputedStyle(document.getElementById("overlay")).opacity') == '0.2'
    # a real pointer over the pixel (48, 24)
    left, top, width, height = page.run(
        '(b => [b.left, b.top, b.width, b.height])'
        '(document.getElementById("overlay").getBoundingClientRect())'
    )
    page.call('Input.dispatchMouseEvent', type='mouseMoved', x=left + width * 48.5 / 64,
              y=top + height * 24.5 / 48)  # fmt: skip
    page.wait_for('document.getElementById("pointer").textContent.includes("plate")')
    assert page.run('document.getElementById("pointer").textContent') == 'x 48, y 24: plate'
    earth, plate = predictor.probabilities(image)[:, 24, 48]
    shown = page.run(
        '[...document.querySelectorAll("#probabilities div")].map(d => d.innerText.split("\\n"))'
    )
    assert [row[0] for row in shown] == ['plate', 'earth']
    found = [float(row[-1].split()[0]) for row in shown]
    assert found == pytest.approx([100 * plate, 100 * earth], abs=0.3)
    assert page.run('document.documentElement.scrollWidth <= innerWidth')
    page.sort()
    # Chromium's advice to `pixel` above
    assert [text for text in page.complaints if 'willReadFrequently' not in text] == []


def test_a_class_can_be_hidden(page, files):
    upload(page, files / 'street.png')
    page.run('document.querySelectorAll("#legend input")[1].click()')
    assert pixel(page, 'overlay', 60, 40)[3] == 0
    assert pixel(page, 'overlay', 5, 5)[3] == 255


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('notes.txt', "no image of a known format (its first bytes are b'no image')"),
        ('large.png', '100x100 pixels'),
        ('huge.png', 'the file has 100001 bytes, the limit is 100000'),
    ],
)
def test_what_cannot_be_labelled_is_an_error_on_the_page(page, files, name, words):
    upload(page, files / name)
    assert words in page.run(ERROR) and not page.run(RESULT)
    upload(page, files / 'street.png')  # and the next one works
    assert page.run(ERROR) == '' and page.run(RESULT)


def test_labels_and_overlay_are_saved(page, files, served, tmp_path):
    page.call('Browser.setDownloadBehavior', behavior='allow', downloadPath=str(tmp_path))
    upload(page, files / 'street.png')
    for button in ('save-labels', 'save-overlay'):
        page.run(f'document.getElementById("{button}").click()')
    paths = [tmp_path / f'street_{kind}.png' for kind in ('labels', 'overlay')]
    page.wait_for_files(paths)
    labels, overlay = (cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in paths)
    image = cv2.imread(str(files / 'street.png'))
    expected = Predictor(served.log.parent / 'a.onnx')(image)
    np.testing.assert_array_equal(labels, expected)
    assert overlay.shape[:2] == (48, 64)
    blended = (image[5, 5].astype(int) + (3, 2, 1)) / 2  # the picture is a JPEG
    np.testing.assert_allclose(overlay[5, 5, :3], blended, atol=6)


def test_the_camera_gives_an_image_as_well(page):
    page.run('document.getElementById("camera").click()')
    page.wait_for('document.getElementById("video").videoWidth > 0')
    page.run('document.getElementById("shoot").click()')
    page.wait_for(f'{ERROR}.includes("pixels")')  # it has more than this server takes
    assert page.run('document.getElementById("shooting").hidden')
    assert page.run('document.getElementById("video").srcObject') is None


def test_the_page_speaks_chinese(page, files):
    assert page.run('document.querySelector("[data-text=choose]").textContent') == 'Choose an image'
    page.run('document.getElementById("language").click()')
    assert page.run('document.querySelector("[data-text=choose]").textContent') == '选择图片'
    assert page.run('document.documentElement.lang') == 'zh'
    page.choose_file('#file', files / 'street.png')
    page.wait_for(f'{STATUS}.includes("用时")')
    texts = page.run('Object.values(TEXTS).map(t => Object.keys(t).sort().join())')
    assert texts[0] == texts[1]


def test_an_upload_can_be_dropped(page, files):
    page.run(
        'fetch("/api/model").then(() => { const d = new DataTransfer();'
        'd.items.add(new File(["no image"], "notes.txt"));'
        'document.dispatchEvent(new DragEvent("drop", {dataTransfer: d})); })'
    )
    page.wait_for(f'{ERROR}.includes("no image of a known format")')
