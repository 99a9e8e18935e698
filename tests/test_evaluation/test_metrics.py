import math

import numpy as np
import pytest

from msseg.evaluation import (
    check_metrics,
    compute_scores,
    confusion_matrix,
    format_scores,
    reported_keys,
)

# Class c has no labelled pixel but is predicted twice.
MATRIX = np.array([[6, 2, 1], [1, 9, 1], [0, 0, 0]])
CLASSES = ('a', 'b', 'c')


def test_scores_equal_hand_computed_ones():
    scores = compute_scores(MATRIX, CLASSES, ['mIoU', 'mDice', 'mFscore'])
    values = scores.as_dict()
    assert values['IoU.a'] == pytest.approx(6 / (9 + 7 - 6))
    assert values['IoU.b'] == pytest.approx(9 / (11 + 11 - 9))
    assert values['Acc.a'] == values['Recall.a'] == pytest.approx(6 / 9)
    assert values['Dice.b'] == pytest.approx(18 / 22)
    assert values['Precision.a'] == pytest.approx(6 / 7)
    precision, recall = 6 / 7, 6 / 9
    assert values['Fscore.a'] == pytest.approx(2 * precision * recall / (precision + recall))
    assert values['aAcc'] == pytest.approx(15 / 20)
    assert values['mIoU'] == pytest.approx((values['IoU.a'] + values['IoU.b']) / 2)
    assert scores.num_pixels.tolist() == [9, 11, 0]


@pytest.mark.parametrize('beta', [1.0, 0.5])
def test_scores_equal_a_loop_over_pixels(beta):
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 5, (2, 400))
    labels[rng.random(400) < 0.1] = 255
    matrix = confusion_matrix(predictions, labels, 5, 255)
    values = compute_scores(matrix, list('abcde'), ['mIoU', 'mDice', 'mFscore'], beta).as_dict()

    expected = {}
    for index, name in enumerate('abcde'):
        both = either = true = guessed = 0
        for label, prediction in zip(labels, predictions, strict=True):
            if label == 255:
                continue
            both += label == index and prediction == index
            either += label == index or prediction == index
            true += label == index
            guessed += prediction == index
        precision, recall = both / guessed, both / true
        expected[f'IoU.{name}'] = both / either
        expected[f'Dice.{name}'] = 2 * both / (true + guessed)
        expected[f'Precision.{name}'] = precision
        expected[f'Acc.{name}'] = expected[f'Recall.{name}'] = recall
        weighted = beta**2 * precision + recall
        expected[f'Fscore.{name}'] = (1 + beta**2) * precision * recall / weighted
    for score in ('IoU', 'Acc', 'Dice', 'Fscore', 'Precision', 'Recall'):
        expected[f'm{score}'] = sum(expected[f'{score}.{name}'] for name in 'abcde') / 5
    valid = labels != 255
    expected['aAcc'] = (labels == predictions)[valid].sum() / valid.sum()
    assert values == pytest.approx(expected, abs=1e-12)


def test_class_without_labels_is_nan_and_in_no_mean():
    values = compute_scores(MATRIX, CLASSES).as_dict()
    assert math.isnan(values['IoU.c'])
    assert math.isnan(values['Acc.c'])
    assert not math.isnan(values['mIoU'])


def test_class_never_predicted_has_precision_zero():
    values = compute_scores(np.array([[4, 0], [3, 0]]), ('a', 'b'), 'mFscore').as_dict()
    assert values['Precision.b'] == values['Fscore.b'] == values['Recall.b'] == 0


def test_beta_weighs_recall():
    values = compute_scores(MATRIX, CLASSES, 'mFscore', beta=2.0).as_dict()
    precision, recall = 6 / 7, 6 / 9
    expected = 5 * precision * recall / (4 * precision + recall)
    assert values['Fscore.a'] == pytest.approx(expected)


def test_empty_matrix_gives_nan_everywhere():
    values = compute_scores(np.zeros((2, 2), int), ('a', 'b')).as_dict()
    assert all(math.isnan(value) for value in values.values())


def test_reported_keys_are_those_of_the_scores():
    metrics = ['mIoU', 'mFscore']
    assert reported_keys(metrics, CLASSES) == list(
        compute_scores(MATRIX, CLASSES, metrics).as_dict()
    )


def test_unknown_metric():
    with pytest.raises(KeyError, match="metric 'mIou' is not known.*Did you mean 'mIoU'"):
        check_metrics(['mIou'])


def test_matrix_must_fit_the_classes():
    with pytest.raises(ValueError, match='does not fit 2 classes'):
        compute_scores(MATRIX, ('a', 'b'))


def test_table_shows_percent_pixels_and_na():
    table = format_scores(compute_scores(MATRIX, CLASSES))
    row_a = next(line for line in table.splitlines() if line.startswith('| a '))
    row_c = next(line for line in table.splitlines() if line.startswith('| c '))
    assert row_a.split() == ['|', 'a', '|', '60.00', '|', '66.67', '|', '9', '|']
    assert row_c.split() == ['|', 'c', '|', 'n/a', '|', 'n/a', '|', '0', '|']
    assert '75.00' in table


@pytest.mark.parametrize(
    ('pixels', 'coverage'),
    [
        ((3, 1), ''),
        ((3, 0), 'over 1 of 2 classes: road has no labelled pixel'),
        ((0, 3, 0), 'over 1 of 3 classes: ground, car have no labelled pixel'),
        ((0, 0), 'over 0 of 2 classes: there is no labelled pixel'),
    ],
)
def test_classes_without_labelled_pixels_are_named(pixels, coverage):
    names = ('ground', 'road', 'car')[: len(pixels)]
    assert compute_scores(np.diag(pixels), names).coverage() == coverage
