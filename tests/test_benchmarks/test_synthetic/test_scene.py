import numpy as np
import pytest

from benchmarks.synthetic import draw_street


def test_scene_has_the_size_asked_for():
    image, labels = draw_street(96, 160, seed=0, index=0)
    assert image.shape == (96, 160, 3)
    assert image.dtype == np.uint8
    assert labels.shape == (96, 160)
    assert labels.dtype == np.uint8


def test_same_arguments_draw_the_same_scene():
    first = draw_street(64, 128, seed=3, index=5)
    second = draw_street(64, 128, seed=3, index=5)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(('seed', 'index'), [(3, 6), (4, 5)])
def test_another_seed_or_index_draws_another_scene(seed, index):
    image, _ = draw_street(64, 128, seed=3, index=5)
    other, _ = draw_street(64, 128, seed=seed, index=index)
    assert np.abs(image.astype(int) - other).mean() > 5


def test_classes_stand_where_streets_have_them():
    scenes = [draw_street(96, 192, seed=1, index=index)[1] for index in range(6)]
    rows = np.stack(scenes)
    assert (rows[:, :8] == 23).mean() > 0.15, 'sky at the top'
    assert (rows[:, :60] == 7).mean() < 0.2, 'little road in the upper part'
    assert (rows[:, 70:85] == 7).mean() > 0.4, 'road at the bottom'


def test_colours_tell_classes_apart_but_vary():
    """The set can be learnt from colour and place, but one colour is not one class."""
    image, labels = draw_street(128, 256, seed=0, index=3)
    road, sky = image[labels == 7].astype(float), image[labels == 23].astype(float)
    assert np.linalg.norm(road.mean(0) - sky.mean(0)) > 30
    assert road.std(0).min() > 2
