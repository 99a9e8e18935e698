from argparse import ArgumentParser

import cv2
import numpy as np
import pytest

from benchmarks import metric
from benchmarks.photograph import write_photograph


@pytest.fixture(scope='module')
def photograph(tmp_path_factory):
    return write_photograph(tmp_path_factory.mktemp('photograph'))


def test_photograph_is_as_large_and_heavy_as_cityscapes(photograph):
    image, labels = photograph
    assert cv2.imread(str(image)).shape == (1024, 2048, 3)
    assert 1_500_000 < image.stat().st_size <= 2_200_000
    assert cv2.imread(str(labels), cv2.IMREAD_UNCHANGED).shape == (1024, 2048)


def test_photograph_is_not_blurred_away(photograph):
    grey = cv2.imread(str(photograph[0]), cv2.IMREAD_GRAYSCALE)
    assert cv2.Laplacian(grey, cv2.CV_64F).std() > 3


def test_prediction_is_partly_wrong_and_always_a_class():
    label = np.full((64, 128), 3, np.uint8)
    label[:16] = 255
    prediction = metric._predict(label)
    wrong = (prediction != label)[label != 255].mean()
    assert 0.1 < wrong < 0.3
    assert prediction.dtype == np.int32
    assert prediction.min() >= 0 and prediction.max() < 19


def test_metric_prints_the_ratio(capsys):
    parser = ArgumentParser()
    metric.add_arguments(parser)
    times = metric.run(parser.parse_args(['--rounds', '3']))
    assert len(times.candidate_s) == 3
    assert f'ratio {times.ratio:.3f}' in capsys.readouterr().out
