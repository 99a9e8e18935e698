"""Pictures of an evaluation: of which images, and what they show."""

import numpy as np
import pytest

from msseg.apis import evaluation_pictures
from msseg.apis.evaluation_pictures import EvaluationPictures
from msseg.config import Config
from msseg.datasets import EvalLoader, build_dataset
from tests.tiny import write_config, write_discs


@pytest.fixture
def dataset(tmp_path):
    config = write_config(tmp_path, write_discs(tmp_path, count=7))
    return build_dataset(Config.fromfile(config).data.val, {'test_mode': True})


def evaluate(pictures, dataset, shift=0):
    for sample in EvalLoader(dataset, 0):
        pictures.add(sample, np.roll(np.where(sample.gt == 255, 0, sample.gt), shift, axis=1))
    return dict(pictures.pictures)


def test_always_the_same_images_are_drawn_with_label_and_prediction(dataset):
    pictures = EvaluationPictures(dataset, lambda: 3)
    shared = pictures.pictures
    first = evaluate(pictures, dataset)
    assert list(first) == ['disc_0', 'disc_3', 'disc_6']
    second = evaluate(pictures, dataset, shift=10)
    assert list(second) == list(first) and shared is pictures.pictures
    title, gap, width = 20, 4, 64
    for name, before in first.items():
        assert before.shape == (48 + title, 3 * width + 2 * gap, 3) and before.dtype == np.uint8
        image, label, prediction = (
            before[title + 3 :, i * (width + gap) : i * (width + gap) + width] for i in range(3)
        )
        np.testing.assert_array_equal(label, prediction)
        assert (image[..., 2] == image[..., 0]).mean() < 1 or (label != image).any()
        orange = label.reshape(-1, 3).astype(int)
        assert (orange[:, 0] - orange[:, 2]).max() > 80  # RGB: the disc is yellow
        assert (before[:, : 2 * width] == second[name][:, : 2 * width]).all()
        assert (before != second[name]).any()


def test_large_images_become_small_pictures(dataset, monkeypatch):
    monkeypatch.setattr(evaluation_pictures, '_LONGEST', 16)
    pictures = evaluate(EvaluationPictures(dataset, lambda: 1), dataset)
    assert [picture.shape for picture in pictures.values()] == [(12 + 20, 3 * 16 + 2 * 4, 3)]


def test_without_a_logger_that_wants_some_nothing_is_drawn(dataset, monkeypatch):
    monkeypatch.setattr(evaluation_pictures, 'load_shown', None)
    assert evaluate(EvaluationPictures(dataset, lambda: 0), dataset) == {}


def test_a_data_set_without_files_is_warned_of_and_evaluated(dataset, monkeypatch, caplog):
    def load_shown(*args):
        raise KeyError('img')

    monkeypatch.setattr(evaluation_pictures, 'load_shown', load_shown)
    assert evaluate(EvaluationPictures(dataset, lambda: 2), dataset) == {}
    assert 'loggers get no picture' in caplog.text
