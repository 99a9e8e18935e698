"""When an exported file counts as equal to its checkpoint."""

import numpy as np
import pytest

from msseg.export.verify import Agreement, Case, compare, cropped

LOGITS = np.random.default_rng(0).normal(size=(2, 3, 50, 100)).astype(np.float32)
CASE = Case(np.zeros((2, 1), np.uint8), LOGITS)


def agreement(output, case=CASE, threshold=None):
    return compare(lambda batch: output, [case], 2, threshold)


def test_the_same_logits_or_labels_agree():
    found = agreement(LOGITS)
    assert (found.largest_difference, found.equal_pixels) == (0, 1)
    found.check('a')
    assert str(found).startswith('100.0000 % of pixels equal on 2 images, largest difference 0 ')
    labels = agreement(LOGITS.argmax(1))
    assert labels.largest_difference is None
    labels.check('a')
    assert str(labels) == '100.0000 % of pixels equal on 2 images'


def test_other_logits_or_labels_do_not():
    with pytest.raises(ValueError, match='a: what was exported disagrees.*nothing was written'):
        agreement(LOGITS + 0.1).check('a')
    with pytest.raises(ValueError, match='disagrees'):
        agreement(LOGITS * np.nan).check('a')
    labels = LOGITS.argmax(1)
    labels[0, 0, :3] += 1
    assert agreement(labels).equal_pixels == pytest.approx(1 - 3 / 10_000)
    with pytest.raises(ValueError, match='99.9700 % of pixels equal'):
        agreement(labels).check('a')


def test_pixels_that_rounding_decides_do_not_count():
    logits = LOGITS.copy()
    logits[0, :, 0, :9] = np.array([[9], [9 + 1e-5], [0]])
    found = agreement(logits.argmax(1) - (logits[:, 1] > 9), Case(CASE.batch, logits))
    assert found.equal_pixels == pytest.approx(1 - 9 / 10_000)
    assert found.equal_decided == 1
    found.check('a')


def test_networks_that_amplify_rounding_may_differ_more():
    agreement(LOGITS + 0.1, Case(CASE.batch, LOGITS, rounding=0.004)).check('a')
    with pytest.raises(ValueError, match=r'disagrees.*allowed are 0\.064'):
        agreement(LOGITS + 0.1, Case(CASE.batch, LOGITS, rounding=0.002)).check('a')


@pytest.mark.parametrize('rounding', [1.0, np.inf, np.nan])
def test_there_is_an_end_to_it(rounding):
    case = Case(CASE.batch, LOGITS, rounding)
    with pytest.raises(ValueError, match='disagrees'):
        agreement(LOGITS + 0.5, case).check('a')
    with pytest.raises(ValueError, match='disagrees'):
        agreement(2 - LOGITS.argmax(1), case).check('a')


def test_one_channel_is_compared_by_its_threshold():
    logits = LOGITS[:, :1]
    labels = 1 / (1 + np.exp(-logits[:, 0])) > 0.3
    agreement(labels, Case(CASE.batch, logits), threshold=0.3).check('a')
    with pytest.raises(ValueError, match='disagrees'):
        agreement(~labels, Case(CASE.batch, logits), threshold=0.3).check('a')


def test_where_everything_is_undecided_nothing_disagrees():
    zeros = np.zeros((1, 2, 3, 3), np.float32)
    found = agreement(np.ones((1, 3, 3)), Case(CASE.batch, zeros))
    assert found == Agreement(2, 0.0, None, 0.0, 1.0, 1e-3)


def test_images_are_cropped_to_the_multiple_that_a_network_takes():
    image = np.arange(35 * 50).reshape(35, 50)
    np.testing.assert_array_equal(cropped(image, 16), image[:32, :48])
    assert cropped(image, 1).shape == (35, 50)
    assert cropped(image, 64).size == 0
