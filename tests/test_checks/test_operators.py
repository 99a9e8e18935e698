"""The audit of compiled graphs finds what is planted, and nothing in the networks here."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, nn, ops

from msseg.apis.train_settings import StepSettings
from msseg.checks.operators import (
    COMPOSED,
    Fault,
    audit,
    documented_platforms,
    find_faults,
    format_faults,
    list_operators,
)
from msseg.models import build_segmentor
from msseg.models.layers import use_low_precision
from msseg.utils.target import ASCEND_910A, CHIPS, assume_target
from tests.tiny_families import FAMILIES

SETTINGS = StepSettings(dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4))
TARGETS = [('GPU', ''), ('Ascend', CHIPS[1]), ('Ascend', ASCEND_910A)]
IMAGE = ms.Tensor(np.ones((2, 3, 4, 4), np.float32))


def audit_family(name, device, chip, dtype=None):
    """Audit the tiny model of a family; 16-bit floats find operators that refuse a type."""
    with assume_target(device, chip) as target:
        model = build_segmentor(FAMILIES[name].model)
        if dtype is not None:
            use_low_precision(model, dtype)
        return audit(model, SETTINGS, target, FAMILIES[name].size)


@pytest.mark.parametrize(('device', 'chip'), TARGETS)
def test_nothing_is_found_in_a_network_of_here(device, chip):
    dtype = ms.float16 if chip == ASCEND_910A else None
    faults = audit_family('fcn', device, chip, dtype)
    assert not faults, format_faults({chip or device: faults})


class DoubleProduct(nn.Cell):
    def construct(self, x):
        y = x.astype(ms.float64)
        return ops.bmm(y[0], y[1]).astype(ms.float32)


class LongStack(nn.Cell):
    def __init__(self):
        super().__init__()
        self.scalars = ms.ParameterTuple(Parameter(ms.Tensor(0.0), f's{i}') for i in range(900))
        self.map = ops.HyperMap()

    def construct(self, x):
        return ops.stack(self.map(ops.neg, self.scalars)) + x.sum()


class SplitStack(nn.Cell):
    def construct(self, x):
        return ops.stack(ops.split(x.reshape(96), 1))


class Inner(nn.Cell):
    def construct(self, x):
        if x.sum() > 0:
            return ops.exp(x)
        return x


class Choice(nn.Cell):
    def __init__(self):
        super().__init__()
        self.inner = Inner()

    def construct(self, x):
        return self.inner(x) + 1.0


def _plus_one(x):
    return x + 1


class HostFunction(nn.Cell):
    def __init__(self):
        super().__init__()
        self.op = ops.Custom(_plus_one, lambda shape: shape, lambda dtype: dtype, 'pyfunc')

    def construct(self, x):
        return self.op(x)


class Sorting(nn.Cell):
    def construct(self, x):
        return ops.sort(x)[0]


class Dimensions(nn.Cell):
    def construct(self, x):
        return x.reshape(2, 3, 1, 1, 1, 1, 1, 4, 4) + 1.0


PLANTED = [
    (DoubleProduct, 'GPU', '', 'float64', 'BatchMatMul'),
    (DoubleProduct, 'Ascend', CHIPS[1], 'float64', 'BatchMatMul'),
    (LongStack, 'Ascend', CHIPS[1], '900 operands, more than 32', 'Stack'),
    (LongStack, 'GPU', '', '900 operands', 'Stack'),
    (SplitStack, 'Ascend', CHIPS[1], '96 operands', 'Stack'),
    (Choice, 'Ascend', ASCEND_910A, 'control flow at run time', 'Switch'),
    (HostFunction, 'Ascend', CHIPS[1], 'a function of Python', 'Custom'),
    (HostFunction, 'GPU', '', 'a function of Python', 'Custom'),
    (Sorting, 'Ascend', CHIPS[1], 'float32 sorted', 'Sort'),
    (Dimensions, 'GPU', '', '9 dimensions, more than 8', 'Reshape'),
]


@pytest.mark.parametrize(
    ('network', 'device', 'chip', 'problem', 'operator'),
    PLANTED,
    ids=[f'{each[0].__name__}-{each[2] or each[1]}' for each in PLANTED],
)
def test_planted_faults_are_found(network, device, chip, problem, operator):
    cell = network()
    with assume_target(device, chip) as target:
        faults = find_faults(list_operators(cell, IMAGE), target, cell)
    (place,) = {
        fault.place
        for fault in faults
        if fault.problem.startswith(problem) and fault.operator == operator
    }
    where = 'Inner (inner)' if network is Choice else f'{network.__name__} (the whole)'
    assert place.endswith(f'test_operators.py {where}')


def test_an_open_shape_is_found_where_graphs_are_sunk():
    cell, image = nn.ReLU(), ms.Tensor(shape=[None, 3, None, None], dtype=ms.float32)
    operators = list_operators(cell, image)
    for chip, expected in ((ASCEND_910A, 1), (CHIPS[1], 0)):
        with assume_target('Ascend', chip) as target:
            faults = find_faults(operators, target, cell)
        assert len(faults) == expected
        assert all(fault.problem.startswith('a shape that is open') for fault in faults)


def test_what_is_documented_for_other_devices_is_found(monkeypatch):
    assert documented_platforms('Conv2D') == {'Ascend', 'GPU', 'CPU'}
    assert documented_platforms('GatherD') == {'Ascend', 'GPU', 'CPU'}  # by reference
    assert documented_platforms('BatchNormGrad') == {'Ascend', 'GPU', 'CPU'}  # its operator's
    assert documented_platforms('NPUGetFloatStatusV2') == {'Ascend'}
    assert documented_platforms('NoSuchOperator') is None
    assert all(COMPOSED.values())
    cell = nn.ReLU()
    operators = list_operators(cell, IMAGE)
    monkeypatch.setattr(
        'msseg.checks.operators.documented_platforms', lambda name: frozenset({'CPU'})
    )
    with assume_target('GPU') as target:
        (fault,) = find_faults(operators, target, cell)
    assert fault == Fault('documented for CPU alone', 'ReLU', 'activation.py ReLU (the whole)')


def test_faults_are_listed_by_device():
    fault = Fault('float64', 'MatMul', 'a.py Net (the whole)')
    text = format_faults({'GPU': {fault: 3}, 'Ascend': {}})
    assert text.splitlines() == [
        'GPU: 1 findings',
        '  MatMul: float64; in a.py Net (the whole) (3 times)',
        'Ascend: nothing found',
    ]
