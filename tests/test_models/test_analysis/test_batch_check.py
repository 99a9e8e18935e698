"""A batch of one image is refused exactly where batch norm would compute no number of it."""

import mindspore as ms
import numpy as np
import pytest

from msseg.models.analysis.batch_check import check_batch
from msseg.models.layers import freeze_statistics
from tests.test_models.family_checks import norms
from tests.tiny_families import FAMILIES, build

# what average whole maps before a batch norm, and what do not
POOLED = ('bisenetv1', 'bisenetv2', 'deeplabv3', 'pspnet', 'stdc')
OTHERS = ('cgnet', 'erfnet', 'fcn', 'sem_fpn')


def computes(name, size):
    """Whether a step on one image leaves numbers in all running statistics."""
    network = build(name).set_train()
    network(ms.Tensor(np.random.default_rng(0).normal(size=(1, 3, *size)), ms.float32))
    return all(np.isfinite(layer.moving_variance.asnumpy()).all() for layer in norms(network))


def is_taken(network, shape):
    try:
        check_batch(network, shape)
    except ValueError as error:
        assert 'one value per channel' in str(error) and '\n' not in str(error)
        return False
    return True


@pytest.mark.parametrize('name', [*POOLED, *OTHERS])
def test_one_image(name):
    size = FAMILIES[name].size
    network = build(name)
    assert is_taken(network, (1, 3, *size)) == computes(name, size) == (name in OTHERS)
    assert is_taken(network, (2, 3, *size))


def test_small_crops_leave_one_pixel():
    sizes = [(8, 8), (8, 9), (9, 9), (40, 8)]
    assert [is_taken(build('fcn'), (1, 3, *size)) for size in sizes] == [False, True, True, True]
    assert [computes('fcn', size) for size in sizes] == [False, True, True, True]


def test_statistics_that_are_frozen_need_no_batch():
    network = build('pspnet')
    freeze_statistics(network)
    check_batch(network, (1, 3, 64, 64))


def test_the_layer_and_what_to_do_are_named():
    expected = (
        r'^EncoderDecoder: the batch is one image of 256x160 pixels, of which batch norm '
        r'decode_head\.psp_modules\.0\.1\.bn gets one value .* set data.samples_per_gpu to 2'
    )
    with pytest.raises(ValueError, match=expected):
        check_batch(build('pspnet'), (1, 3, 256, 160))
