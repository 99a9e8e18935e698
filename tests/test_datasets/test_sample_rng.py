"""A sample's randomness depends on (seed, epoch, index) alone."""

import random

import numpy as np
import pytest

from msseg.datasets.sample_rng import current_rng, load_sample, seeded_sample
from msseg.utils.errors import UserValueError


def drawn(seed, epoch, index):
    with seeded_sample(seed, epoch, index) as rng:
        assert current_rng() is rng
        return rng.random(), np.random.random_sample(), random.random()


def test_draws():
    base = drawn(1, 2, 3)

    assert drawn(1, 2, 3) == base
    assert base[0] == np.random.default_rng((1, 2, 3)).random()
    for other in ((0, 2, 3), (1, 0, 3), (1, 2, 0)):
        assert all(a != b for a, b in zip(drawn(*other), base, strict=True))
    assert current_rng() is None


def test_global_generators_are_put_back():
    np.random.seed(3)
    random.seed(3)
    expected = np.random.random_sample(), random.random()
    np.random.seed(3)
    random.seed(3)
    drawn(0, 0, 0)

    assert (np.random.random_sample(), random.random()) == expected


class Failing:
    img_infos = [dict(filename='a.png', ann=dict(seg_map='a_gt.png'))]

    def __init__(self, error):
        self.error = error

    def __getitem__(self, index):
        raise self.error

    def get_filename(self, index):
        return '/data/a.png'


@pytest.mark.parametrize(
    'error, message',
    [
        (ValueError('too small'), '/data/a.png: too small'),
        (ValueError('/data/a.png is too small'), '/data/a.png is too small'),
        (ValueError('/x/a_gt.png is too small'), '/x/a_gt.png is too small'),
        (ZeroDivisionError(), '/data/a.png: ZeroDivisionError'),
        (OSError(5, 'disk'), '[Errno 5] /data/a.png: disk'),
        (IndexError(3), '/data/a.png: 3'),
        (UserValueError(key='prob', got=2, who='Flip'), '/data/a.png: Flip: prob is 2'),
    ],
)
def test_failure_names_the_file(error, message):
    with pytest.raises(type(error)) as raised:
        load_sample(Failing(error), 0, 0, 0)

    assert str(raised.value) == message


def test_foreign_data_set_has_numbers_only():
    with pytest.raises(IndexError, match='sample 7: list index out of range'):
        load_sample([], 7, 0, 0)
