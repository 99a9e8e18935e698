"""Which channels pictures show, and which of their values as black and white."""

import numpy as np
import pytest

from msseg.apis.results import load_shown
from msseg.datasets import CustomDataset
from msseg.datasets.pipelines import LoadImageFromFile
from msseg.utils.display import Display, as_bgr, display_limits

IMAGE = np.stack([np.linspace(0, 10**i, 101) for i in range(5)], 1)[None].astype(np.float32)


def loader(**settings):
    return LoadImageFromFile(color_type='unchanged', **settings)


def test_chosen_bands_are_stretched_each_by_itself():
    display = Display.of_loader(loader(show_bands=[5, 4, 1], show_percentiles=(0, 100)))
    assert display.channels == (4, 3, 0)
    np.testing.assert_allclose(display_limits(IMAGE, display), [(0, 1), (0, 1000), (0, 10000)])
    shown = as_bgr(IMAGE, display=display)
    assert shown.shape == (1, 101, 3) and shown.dtype == np.uint8
    for channel in range(3):
        np.testing.assert_array_equal(shown[0, [0, 50, 100], channel], [0, 128, 255])
    swapped = Display((2, 1, 0), (0, 100))
    assert as_bgr(IMAGE * [1, -1, 1, 1, 1], display=swapped)[0, 0].tolist() == [0, 255, 0]


def test_shown_bands_are_numbers_of_the_file():
    display = Display.of_loader(loader(bands=[8, 4, 3], show_bands=[4, 3, 8]))
    assert display.channels == (1, 2, 0)
    assert Display.of_loader(loader(bands=[8, 4], show_bands=[4])).channels == (1,)
    for wrong in ([4, 3, 2], [8, 4]):
        with pytest.raises(ValueError, match='expected one or three numbers of'):
            loader(bands=[8, 4, 3], show_bands=wrong)
    with pytest.raises(ValueError, match='expected numbers up to 5'):
        as_bgr(IMAGE, display=Display.of_loader(loader(show_bands=[6, 1, 1])))


def test_one_band_is_shown_as_grey_and_bytes_as_they_are():
    image = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    shown = as_bgr(image, display=Display((3,)))
    np.testing.assert_array_equal(shown, np.repeat(image[..., 3:], 3, 2))
    np.testing.assert_array_equal(as_bgr(image), image[..., :3])
    stretched = as_bgr(image, display=Display((3,), (0, 100)))
    assert (stretched.min(), stretched.max()) == (0, 255)


def test_values_without_data_do_not_count():
    image = IMAGE.copy()
    image[:, :40] = -9999
    display = Display((4,), (0, 100))
    limits = display_limits(image, display, image[..., 0] == -9999)
    np.testing.assert_allclose(limits, [(4000, 10000)])
    assert display_limits(image, display, np.ones((1, 101), bool)) == ((0, 1),)


def test_pictures_of_a_data_set_show_what_its_pipeline_says(tmp_path):
    np.save(tmp_path / 'a.npy', IMAGE)
    steps = [dict(type='LoadImageFromFile', bands=[5, 1], show_bands=[1])]
    dataset = CustomDataset(steps, tmp_path, '.npy', test_mode=True, classes=['a'])
    shown = load_shown(dataset, 0)
    assert (shown[..., 0] == shown[..., 2]).all() and abs(int(shown[0, 50, 0]) - 128) < 2
