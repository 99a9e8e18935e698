"""Labels, logits and probabilities from a file, worked out by hand beside it."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from msseg.deploy import Predictor
from tests.test_deploy.onnx_file import CLASSES, PALETTE, expected_logits, write_onnx


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)


@pytest.mark.parametrize('included', [False, True])
def test_logits_probabilities_and_labels_of_an_image(tmp_path, image, included):
    write_onnx(tmp_path / 'a.onnx', included=included)
    cv2.imwrite(str(tmp_path / 'image.png'), image)
    predictor = Predictor(tmp_path / 'a.onnx')
    assert (predictor.classes, predictor.palette) == (CLASSES, PALETTE)
    expected = expected_logits(image)
    path = tmp_path / 'image.png'
    for source in (image, path, str(path), path.read_bytes()):
        np.testing.assert_allclose(predictor.logits(source), expected, atol=1e-5)
        labels = predictor(source)
        assert labels.dtype == np.int32
        np.testing.assert_array_equal(labels, expected.argmax(0))
    powers = np.exp(expected)
    np.testing.assert_allclose(predictor.probabilities(image), powers / powers.sum(0), atol=1e-5)
    assert 0 < labels.mean() < 1


def test_one_channel_is_decided_by_the_threshold(tmp_path, image):
    write_onnx(tmp_path / 'a.onnx', channels=1, threshold=0.3)
    write_onnx(tmp_path / 'labels.onnx', channels=1, threshold=0.3, meaning='labels')
    probability = 1 / (1 + np.exp(-expected_logits(image, 1)))
    predictor = Predictor(tmp_path / 'a.onnx')
    np.testing.assert_allclose(predictor.probabilities(image), probability, atol=1e-5)
    np.testing.assert_array_equal(predictor(image), probability[0] > 0.3)
    np.testing.assert_array_equal(Predictor(tmp_path / 'labels.onnx')(image), probability[0] > 0.3)


def test_images_go_in_as_many_as_the_file_takes(tmp_path, image):
    write_onnx(tmp_path / 'a.onnx', batch=2)
    images = [image, image[::-1], image[:, ::-1]]
    labels = Predictor(tmp_path / 'a.onnx').predict(images)
    assert len(labels) == 3
    for found, each in zip(labels, images, strict=True):
        np.testing.assert_array_equal(found, expected_logits(each).argmax(0))


@pytest.mark.parametrize('meaning', ['logits', 'labels'])
def test_an_image_is_resized_as_in_testing_and_its_labels_back(tmp_path, image, meaning):
    large = np.kron(image, np.ones((3, 3, 1), np.uint8))
    write_onnx(tmp_path / 'a.onnx', meaning=meaning, scale=(8, 6))
    labels = Predictor(tmp_path / 'a.onnx')(large)
    assert labels.shape == (18, 24)
    small = expected_logits(cv2.resize(large, (8, 6)))
    np.testing.assert_array_equal(labels[1::3, 1::3], small.argmax(0))


def test_the_scale_may_be_a_factor_or_ignore_the_aspect_ratio(tmp_path, image):
    write_onnx(tmp_path / 'a.onnx', ratio=0.5)
    assert Predictor(tmp_path / 'a.onnx')(np.zeros((12, 16, 3), np.uint8)).shape == (12, 16)
    write_onnx(tmp_path / 'b.onnx', scale=(8, 6), keep_ratio=False)
    assert Predictor(tmp_path / 'b.onnx')(np.zeros((9, 9, 3), np.uint8)).shape == (9, 9)


def test_sizes_that_a_file_does_not_take_are_told(tmp_path, image):
    write_onnx(tmp_path / 'a.onnx')
    with pytest.raises(ValueError, match=r'a.onnx: takes images of 6x8 .*got 5x8; .*--dynamic'):
        Predictor(tmp_path / 'a.onnx')(image[:5])


def test_labels_alone_give_no_probabilities(tmp_path, image):
    write_onnx(tmp_path / 'a.onnx', meaning='labels')
    predictor = Predictor(tmp_path / 'a.onnx')
    np.testing.assert_array_equal(predictor(image), expected_logits(image).argmax(0))
    with pytest.raises(ValueError, match='gives labels only; .*export without --argmax'):
        predictor.logits(image)


@pytest.mark.parametrize('thing', [None, 3, np.zeros((4, 4)), np.zeros((4, 4, 3))])
def test_what_is_no_image_is_told(tmp_path, thing):
    write_onnx(tmp_path / 'a.onnx')
    with pytest.raises(TypeError, match='an image is .*expected the path of a file, its content'):
        Predictor(tmp_path / 'a.onnx')(thing)


def test_a_broken_image_is_told(tmp_path):
    write_onnx(tmp_path / 'a.onnx')
    (tmp_path / 'image.png').write_bytes(b'\x89PNG')
    with pytest.raises(ValueError, match='image.png: the image is truncated'):
        Predictor(tmp_path / 'a.onnx')(tmp_path / 'image.png')


def test_nothing_of_the_training_side_is_imported(tmp_path):
    write_onnx(tmp_path / 'a.onnx')
    program = (
        'import sys; from msseg.deploy import Predictor; Predictor(sys.argv[1]); '
        "print([name for name in sys.modules if name.startswith(('mindspore', 'msseg.'))])"
    )
    run = subprocess.run(
        [sys.executable, '-c', program, str(tmp_path / 'a.onnx')],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    names = eval(run.stdout)
    assert 'msseg.deploy.runners' in names
    rooms = {name.split('.')[1] for name in names if name.startswith('msseg.')}
    assert rooms == {'deploy', 'renamed_modules', 'utils', 'version'}
    assert not any(name.startswith('mindspore') for name in names)
