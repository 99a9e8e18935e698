"""The division into training and validation."""

import numpy as np
import pytest

from msseg.own_data.split import stratified_split


def divided(num_images, fraction, seed=0):
    rng = np.random.default_rng(seed)
    names = [f'{i}.png' for i in range(num_images)]
    classes = [
        frozenset({0, *np.flatnonzero(rng.random(6) < (0.5, 0.3, 0.2, 0.1, 0.05, 0.02)).tolist()})
        for _ in names
    ]
    return names, classes, stratified_split(names, classes, fraction, seed)


@pytest.mark.parametrize('fraction', [0.1, 0.2, 0.5])
@pytest.mark.parametrize('seed', range(5))
def test_each_class_has_its_share(fraction, seed):
    _, classes, chosen = divided(200, fraction, seed)
    assert sum(chosen) == pytest.approx(200 * fraction, abs=1)
    for c in range(6):
        own = [is_val for is_val, each in zip(chosen, classes, strict=True) if c in each]
        assert sum(own) == pytest.approx(len(own) * fraction, abs=max(2, 0.05 * len(own)))
        assert len(own) < 2 or 0 < sum(own) < len(own)


def test_the_order_of_images_does_not_matter_and_the_seed_does():
    names, classes, chosen = divided(40, 0.25)
    backwards = stratified_split(names[::-1], classes[::-1], 0.25, 0)
    assert backwards[::-1] == chosen
    assert stratified_split(names, classes, 0.25, 1) != chosen


@pytest.mark.parametrize('num_images', range(2, 9))
def test_neither_part_is_empty(num_images):
    names = [str(i) for i in range(num_images)]
    for classes in (
        [frozenset()] * num_images,
        [frozenset([i]) for i in range(num_images)],
        [frozenset([0])] * num_images,
    ):
        for fraction in (0.01, 0.5, 0.99):
            assert 0 < sum(stratified_split(names, classes, fraction, 0)) < num_images
