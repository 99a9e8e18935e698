"""Layers are compared with numpy, and wrong layers are found."""

import numpy as np
import pytest
from mindspore import nn

from msseg.checks.selftest import numeric
from msseg.checks.selftest.check import TOLERANCES, Bench, CheckFailed
from msseg.checks.selftest.operators import CASES, Case, check_cases, compare


class Cube(nn.Cell):
    """x cubed, with values and gradients that may be off."""

    def __init__(self, value=1.0, slope=3.0):
        super().__init__()
        self.value, self.slope = value, slope

    def construct(self, x):
        return self.value * x * x * x

    def bprop(self, x, out, dout):
        return (self.slope * x * x * dout,)


def bench(dtype='float32'):
    return Bench('CPU', dtype, None, precision=dtype)


def cubes(**options):
    return {'cube': Case(lambda: Cube(**options), lambda x: x**3, {'x': (3, 4)})}


def test_a_right_layer_passes():
    found = check_cases(bench(), cubes())
    assert found.values['cube, values'] < 1e-6 and found.values['cube, gradient of x'] < 1e-6


@pytest.mark.parametrize(
    ('options', 'wrong'),
    [(dict(value=1.001), 'cube, values'), (dict(slope=3.01), 'cube, gradient of x'),
     (dict(slope=0.0), 'cube, gradient of x'), (dict(slope=float('nan')), 'gradient of x')],
)  # fmt: skip
def test_wrong_values_and_gradients_are_found(options, wrong):
    with pytest.raises(CheckFailed, match=f'wrong: .*{wrong}'):
        check_cases(bench(), cubes(**options))


@pytest.mark.parametrize(
    ('group', 'name'),
    [('convolutions', 'with dilation 2'), ('normalisation', 'batch norm'), ('losses', 'Lovász')],
)
def test_layers_are_right_on_this_machine(group, name):
    check_cases(bench(), {name: CASES[group][name]})


def test_16_bits_are_told_from_32():
    case = CASES['matrix products']['of a linear layer']
    errors = compare(case, 'float16')
    assert TOLERANCES['float32'] < errors['values'] < TOLERANCES['float16']
    assert compare(case, 'float32')['values'] < 1e-6


def test_gradients_of_wrong_signs_and_places_are_found():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 5))
    right, factors = 2 * x, np.ones((4, 5))
    for gradient, is_right in ((right, True), (-right, False), (right[::-1], False)):
        errors = numeric.gradient_errors(
            lambda x: x**2, {'x': x}, {'x': gradient}, factors, np.random.default_rng(1)
        )
        assert (errors['x'] < 1e-6) == is_right


def test_what_numpy_computes_is_what_is_worked_out_by_hand():
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    edges = np.array([[0, 0, 0], [1, 0, -1], [0, 0, 0.0]]).reshape(1, 1, 3, 3)
    np.testing.assert_array_equal(numeric.convolve(x, edges)[0, 0, 1], [-4, -2, 4])
    np.testing.assert_array_equal(numeric.max_pool(x)[0, 0], [[4, 5], [7, 8]])
    np.testing.assert_array_equal(numeric.adaptive_pool(x, 2)[0, 0], [[2, 3], [5, 6]])
    np.testing.assert_array_equal(numeric.resize(x, (5, 3), True)[0, 0, 1], [1.5, 2.5, 3.5])
    np.testing.assert_array_equal(numeric.resize(x, (3, 6), False)[0, 0, 0, :3], [0, 0.25, 0.75])
    labels = np.array([[[0, 1, 255]]])
    logits = np.zeros((1, 2, 1, 3))
    assert numeric.cross_entropy(logits, labels, 255) == pytest.approx(2 * np.log(2) / 3)
    assert numeric.lovasz(logits, labels, 255) == pytest.approx(0.5)
