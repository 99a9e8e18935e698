import numpy as np
import pytest

from msseg.evaluation import confusion_matrix


def brute_force(prediction, label, num_classes, ignore_index):
    matrix = np.zeros((num_classes, num_classes), np.int64)
    for p, t in zip(prediction.ravel().tolist(), label.ravel().tolist(), strict=True):
        if t != ignore_index:
            matrix[t, p] += 1
    return matrix


@pytest.mark.parametrize('dtype', [np.uint8, np.int32, np.int64, np.uint16])
@pytest.mark.parametrize('ignore_index', [255, 2])
def test_counts_equal_a_loop(dtype, ignore_index):
    rng = np.random.default_rng(0)
    label = rng.choice([0, 1, 2, 3, ignore_index], (17, 23)).astype(dtype)
    prediction = rng.integers(0, 4, (17, 23)).astype(np.int32)
    expected = brute_force(prediction, label, 4, ignore_index)
    assert np.array_equal(confusion_matrix(prediction, label, 4, ignore_index), expected)


def test_many_classes_do_not_overflow():
    label = np.full((2, 2), 199, np.uint8)
    matrix = confusion_matrix(np.full((2, 2), 198, np.uint8), label, 200)
    assert matrix[199, 198] == matrix.sum() == 4


def test_only_ignored_pixels_count_nothing():
    matrix = confusion_matrix(np.zeros((3, 3), int), np.full((3, 3), 255), 2)
    assert matrix.shape == (2, 2)
    assert matrix.dtype == np.int64
    assert matrix.sum() == 0


@pytest.mark.parametrize(
    ('prediction', 'label', 'message'),
    [
        (np.zeros((2, 3)), np.zeros((3, 2)), r'shape \(2, 3\) but the label has \(3, 2\)'),
        (np.full((2, 2), 5), np.zeros((2, 2)), 'prediction holds classes 5 to 5, expected 0 to 2'),
        (np.zeros((2, 2)), np.full((2, 2), 3), 'label holds classes 3 to 3'),
        (np.zeros((2, 2)), np.full((2, 2), -1), 'label holds classes -1'),
    ],
)
def test_wrong_values_are_refused(prediction, label, message):
    with pytest.raises(ValueError, match=message):
        confusion_matrix(prediction.astype(int), label.astype(int), 3)
