"""``init_cfg`` changes the layers it names, and only those."""

import numpy as np
import pytest
from mindspore import nn

from msseg.models.layers import Conv2d, apply_init_cfg


class Pair(nn.Cell):
    def __init__(self):
        super().__init__()
        self.first = Conv2d(16, 32, 3)
        self.second = Conv2d(32, 16, 1)
        self.norm = nn.BatchNorm2d(16)


def test_layers_by_class():
    cell = Pair()
    checkpoint = apply_init_cfg(
        cell,
        [
            dict(type='Normal', std=0.001, bias=2, layer='Conv2d'),
            dict(type='Constant', val=3, layer=['_BatchNorm', 'GroupNorm']),
        ],
    )
    assert checkpoint is None
    assert cell.first.weight.asnumpy().std() == pytest.approx(0.001, rel=0.1)
    assert (cell.second.bias.asnumpy() == 2).all()
    assert (cell.norm.gamma.asnumpy() == 3).all()
    assert not cell.norm.beta.asnumpy().any()


def test_override_names_a_child():
    cell = Pair()
    before = cell.first.weight.asnumpy()
    apply_init_cfg(cell, dict(type='Normal', std=0.01, override=dict(name='second')))
    np.testing.assert_array_equal(cell.first.weight.asnumpy(), before)
    assert cell.second.weight.asnumpy().std() == pytest.approx(0.01, rel=0.2)


def test_truncated_normal_and_uniform_kaiming_stay_within_bounds():
    cell = Pair()
    apply_init_cfg(cell, dict(type='TruncNormal', std=0.01, a=-0.02, b=0.02, layer='Conv2d'))
    assert 0.019 < abs(cell.first.weight.asnumpy()).max() <= 0.02
    apply_init_cfg(cell, dict(type='Kaiming', distribution='uniform', layer='Conv2d'))
    bound = np.sqrt(6 / (32 * 9))
    assert 0.9 * bound < abs(cell.first.weight.asnumpy()).max() <= bound * 1.001


def test_xavier_counts_the_fans_of_input_and_output():
    cell = Pair()
    apply_init_cfg(cell, dict(type='Xavier', gain=2, distribution='uniform', layer='Conv2d'))
    bound = 2 * np.sqrt(6 / (16 * 9 + 32 * 9))
    assert 0.9 * bound < abs(cell.first.weight.asnumpy()).max() <= bound * 1.001
    apply_init_cfg(cell, dict(type='Xavier', layer='Conv2d'))
    deviation = np.sqrt(2 / (16 * 9 + 32 * 9))
    assert cell.first.weight.asnumpy().std() == pytest.approx(deviation, rel=0.05)


def test_pytorchs_default_is_uniform_within_one_over_the_root_of_fan_in():
    cell = Pair()
    apply_init_cfg(cell, dict(type='Normal', std=5, bias=5, layer=['Conv2d', '_BatchNorm']))
    apply_init_cfg(cell, dict(type='PyTorchDefault', layer=['Conv2d', '_BatchNorm']))
    for conv, fan_in in ((cell.first, 16 * 9), (cell.second, 32)):
        bound = 1 / np.sqrt(fan_in)
        for values, least in ((conv.weight.asnumpy(), 0.97), (conv.bias.asnumpy(), 0.6)):
            assert least * bound < abs(values).max() <= bound
            assert abs(values.mean()) < 0.4 * bound
        # A uniform law's deviation is its bound over the root of 3.
        assert conv.weight.asnumpy().std() == pytest.approx(bound / np.sqrt(3), rel=0.1)
    assert (cell.norm.gamma.asnumpy() == 1).all() and not cell.norm.beta.asnumpy().any()
    with pytest.raises(TypeError, match='PyTorchDefault takes no argument'):
        apply_init_cfg(cell, dict(type='PyTorchDefault', std=1, layer='Conv2d'))


def test_pretrained_is_only_reported():
    assert apply_init_cfg(Pair(), dict(type='Pretrained', checkpoint='a.ckpt')) == 'a.ckpt'


@pytest.mark.parametrize(
    ('rule', 'error', 'message'),
    [
        (dict(type='Norma', layer='Conv2d'), KeyError, "unknown type 'Norma'.*'Normal'"),
        (dict(type='Normal', layer='Conv2'), KeyError, "unknown layer 'Conv2'.*'Conv2d'"),
        (dict(type='Normal', sdt=1, layer='Conv2d'), TypeError, "no argument 'sdt'"),
        (dict(type='Normal', override=dict(name='secnd')), KeyError, "'secnd'.*'second'"),
    ],
)
def test_bad_rules_are_explained(rule, error, message):
    with pytest.raises(error, match=message):
        apply_init_cfg(Pair(), rule)
