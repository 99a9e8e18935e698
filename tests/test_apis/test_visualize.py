import numpy as np
import pytest

from msseg.apis.visualize import OverlayStyle
from msseg.utils.display import blend_labels, colour_labels, count_pixels

NAMES = ('background', 'cell', 'debris')
PALETTE = ((0, 0, 0), (230, 159, 0), (86, 180, 233))


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (40, 200, 3)).astype(np.uint8)


def has(strip, colour):
    return bool((strip == colour[::-1]).all(axis=2).any())


def test_labels_beyond_the_palette_are_white():
    shown = colour_labels(np.array([[0, 1, 255, -1, 3]]), PALETTE)[0, :, ::-1].tolist()
    assert shown == [[0, 0, 0], [230, 159, 0], *[[255, 255, 255]] * 3]


def test_pixels_are_counted_by_class():
    labels = np.array([[0, 2, 2], [255, -1, 3]])
    assert count_pixels(labels, 3).tolist() == [1, 0, 2]
    assert count_pixels(labels.astype(np.uint16), 1).tolist() == [1]


def test_labels_of_another_size_than_the_image_are_refused(image):
    with pytest.raises(ValueError, match=r'of size \(40, 199\), but the image is of \(40, 200\)'):
        blend_labels(image, np.zeros((40, 199), int), PALETTE)


def test_fewer_colours_than_classes_are_refused():
    with pytest.raises(ValueError, match='palette has 2 colours for 3 classes'):
        OverlayStyle(NAMES, PALETTE[:2])


def test_a_background_shows_the_image_as_it_is(image):
    labels = np.arange(40 * 200).reshape(40, 200) % 3
    shown = OverlayStyle(NAMES, PALETTE, has_legend=False).draw(image, labels)
    tinted = OverlayStyle(NAMES, PALETTE, has_legend=False, tint_background=True)
    everywhere = blend_labels(image, labels, PALETTE, 0.5)
    np.testing.assert_array_equal(shown[labels == 0], image[labels == 0])
    np.testing.assert_array_equal(shown[labels > 0], everywhere[labels > 0])
    np.testing.assert_array_equal(tinted.draw(image, labels), everywhere)
    # a class of another name is tinted, wherever it stands
    other = OverlayStyle(('ground', 'cell', 'debris'), PALETTE, has_legend=False)
    np.testing.assert_array_equal(other.draw(image, labels), everywhere)


def test_a_legend_names_the_classes_below_the_picture(image):
    labels = np.ones((40, 200), int)
    style = OverlayStyle(NAMES, PALETTE)
    shown = style.draw(image, labels)
    np.testing.assert_array_equal(shown[:40], style.blend(image, labels))
    legend = shown[40:]
    assert len(legend) % 2 == 0 and len(legend) > 20
    assert has(legend, PALETTE[1]) and has(legend, PALETTE[2])
    dark = (legend < 60).all(axis=2)
    assert dark[:, :60].any() and dark[:, 100:].any()  # the texts
    assert OverlayStyle(NAMES, PALETTE, has_legend=False).legend((40, 200)).shape == (0, 200, 3)


def test_an_untinted_class_has_an_empty_box():
    tinted = OverlayStyle(('background',), [(9, 99, 199)], tint_background=True)
    assert has(tinted.legend((40, 200)), (9, 99, 199))
    assert not has(OverlayStyle(('background',), [(9, 99, 199)]).legend((40, 200)), (9, 99, 199))


def test_of_many_classes_the_legend_names_those_in_the_picture():
    palette = [(i, 2 * i, 3) for i in range(100)]
    style = OverlayStyle([f'class number {i}' for i in range(100)], palette)
    pixels = np.zeros(100, int)
    pixels[[7, 93]] = 1
    legend = style.legend((64, 300), pixels)
    shown = [i for i in range(100) if has(legend, palette[i])]
    assert shown == [7, 93]
    # the same height for every picture, so that they can become a video
    everything = style.legend((64, 300), np.ones(100, int))
    assert everything.shape == legend.shape == style.legend((64, 300)).shape
    assert legend.shape[0] < 120


@pytest.mark.parametrize('size', [(1, 1), (3, 700), (700, 3), (20, 33)])
def test_images_of_any_size_have_a_legend(size):
    labels = np.zeros(size, int)
    shown = OverlayStyle(NAMES, PALETTE).draw(np.zeros((*size, 3), np.uint8), labels)
    assert shown.shape[1:] == (size[1], 3) and len(shown) > size[0]
    assert len(shown) % 2 == 0
